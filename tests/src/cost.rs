//! What a process takes of the machine, as the kernel counts it.

/// As the kernel has it for what it tells of processes.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub now: u64,
    /// The most that was ever resident.
    pub most: u64,
}

impl Memory {
    /// That of a process of this machine.
    ///
    /// # Panics
    /// When the kernel does not tell.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the kernel tells");
        let line = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the kernel's");
            value.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
        };
        Self { now: line("VmRSS:"), most: line("VmHWM:") }
    }
}

/// User and system time of a process so far.
///
/// # Panics
/// When the kernel does not tell.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the kernel tells");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    let field =
        |index: usize| -> f64 { after_name.split_whitespace().nth(index).expect("a field").parse().expect("a number") };
    (field(11) + field(12)) / TICKS_PER_SECOND
}
