//! The components that tests run: built once, into the target directory that `host/build.rs` uses too.

use std::path::PathBuf;
use std::process::Command;

/// The bytes of a plugin of this workspace, built as it is shipped.
pub(crate) fn build(package: &str) -> Vec<u8> {
    let target = target_directory().join("plugins");
    let built = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2", "-p", package, "--target-dir"])
        .arg(&target)
        // What an outer cargo sets for its own compiler (coverage, a linter) is not meant for WebAssembly.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .expect("cargo runs");
    assert!(built.success(), "{package} was not built: {built}");
    let file = format!("{}.wasm", package.replace('-', "_"));
    std::fs::read(target.join("wasm32-wasip2/plugin").join(file)).expect("the component is there")
}

/// The directory above `<profile>/deps/<this test>`.
fn target_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(3).expect("a test is below its target directory").to_owned()
}
