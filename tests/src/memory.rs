//! A process's memory, as the kernel counts it.

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
