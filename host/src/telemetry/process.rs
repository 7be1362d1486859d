//! What the kernel says of this process. Where there is no `/proc`, there are no figures.

use std::fs;
use std::path::Path;

/// `/proc` counts CPU time in hundredths of a second on every architecture (`USER_HZ`), whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;
/// Fields of `/proc/self/stat` behind the name, from 0: user and system time, threads (proc_pid_stat(5): 14, 15, 20).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const THREADS: usize = 17;

/// Figures of this process under the names that Prometheus' own clients give them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessFigures {
    /// User and system time so far.
    pub cpu_seconds: f64,
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// Bytes of address space. Pools reserve far more than they use.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Most that may be open.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessFigures {
    /// As they are now, if the kernel tells them.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::read_from(Path::new("/proc/self"))
    }

    fn read_from(proc: &Path) -> Option<Self> {
        let stat = fs::read_to_string(proc.join("stat")).ok()?;
        // The name, in brackets, may hold anything.
        let behind_name = stat.rsplit_once(')')?.1;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
        let status = fs::read_to_string(proc.join("status")).ok()?;
        let limits = fs::read_to_string(proc.join("limits")).ok()?;
        Some(Self {
            cpu_seconds: (f64::from(number(USER_TIME)?) + f64::from(number(SYSTEM_TIME)?)) / TICKS_PER_SECOND,
            resident_bytes: kib(&status, "VmRSS:")?.saturating_mul(1024),
            virtual_bytes: kib(&status, "VmSize:")?.saturating_mul(1024),
            open_fds: fs::read_dir(proc.join("fd")).ok()?.count() as u64,
            max_fds: max_open_files(&limits)?,
            threads: number(THREADS)?.into(),
        })
    }
}

/// A figure of `/proc/self/status`.
fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// The soft limit; without a bound it is the largest number.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let figures = ProcessFigures::read().unwrap();
        assert!(figures.resident_bytes > 1 << 20 && figures.virtual_bytes >= figures.resident_bytes, "{figures:?}");
        assert!(figures.open_fds > 2 && figures.max_fds >= figures.open_fds && figures.threads > 0, "{figures:?}");
    }

    #[test]
    fn a_name_with_brackets_and_spaces_misleads_nobody() {
        let proc = tempfile::tempdir().unwrap();
        let behind: Vec<_> = (0..50).map(|field| field.to_string()).collect();
        fs::write(proc.path().join("stat"), format!("7 (a) b (c) {}", behind.join(" "))).unwrap();
        fs::write(proc.path().join("status"), "VmSize:\t  20 kB\nVmRSS:\t  10 kB\n").unwrap();
        fs::write(proc.path().join("limits"), "Max open files            1024                 4096    files\n")
            .unwrap();
        fs::create_dir(proc.path().join("fd")).unwrap();
        let figures = ProcessFigures::read_from(proc.path()).unwrap();
        assert_eq!((figures.cpu_seconds, figures.threads), (0.23, 17));
        assert_eq!((figures.resident_bytes, figures.virtual_bytes, figures.max_fds), (10_240, 20_480, 1024));
    }

    #[test]
    fn a_missing_file_gives_no_figures() {
        assert_eq!(ProcessFigures::read_from(Path::new("/nowhere")), None);
    }
}
