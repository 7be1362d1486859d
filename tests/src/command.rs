//! The `gavel` command line, run as people run it.

use std::path::PathBuf;

use tokio::process::Command;

use crate::within;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; none when a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs `gavel` with these arguments to its end.
///
/// # Panics
/// When it cannot be run, or does not end in time.
pub async fn gavel_command(args: &[&str]) -> Ran {
    gavel_command_in(&[], args).await
}

/// Runs `gavel` in an environment of these variables alone.
///
/// # Panics
/// When it cannot be run, or does not end in time.
pub async fn gavel_command_in(environment: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = command();
    command.envs(environment.iter().copied()).args(args);
    ran(command).await
}

/// Runs a command to its end.
pub(crate) async fn ran(mut command: Command) -> Ran {
    let output = within("a command's end", command.output()).await.expect("the command runs");
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The binary, with nothing of the environment that could configure it, and ended with its test.
pub(crate) fn command() -> Command {
    let mut command = Command::new(gavel_binary());
    command.env_clear().kill_on_drop(true).stdin(std::process::Stdio::null());
    command
}

/// `<target>/<profile>/gavel-under-test`, found from `<target>/<profile>/deps/<test>`.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn gavel_binary() -> PathBuf {
    let binary = profile_directory().join("gavel-under-test");
    assert!(binary.is_file(), "{} is not there: `cargo test -p gavel-tests` builds it", binary.display());
    binary
}

/// Where this profile's binaries are.
pub(crate) fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("a test lies in <profile>/deps").to_owned()
}
