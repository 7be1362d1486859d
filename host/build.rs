//! Builds the bundled plugins for `wasm32-wasip2`, so that the binary can embed them.
//!
//! They are built by a cargo of their own into one target directory that every profile shares: the outer cargo holds
//! the lock of its own directory while this runs.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: [&str; 5] = [
    "gavel-policy-pii",
    "gavel-policy-secrets",
    "gavel-provider-demo",
    "gavel-provider-openai",
    "gavel-provider-workers-ai",
];

fn main() {
    let host = PathBuf::from(env("CARGO_MANIFEST_DIR"));
    let Some(root) = host.parent().map(Path::to_path_buf) else { fail("the host crate has no parent folder") };
    for watched in ["plugins", "sdk", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let out = PathBuf::from(env("OUT_DIR"));
    let target = target_directory(&out);
    ensure_target();
    build(&root, &target);
    for plugin in PLUGINS {
        let file = format!("{}.wasm", plugin.replace('-', "_"));
        let built = target.join(TARGET).join("plugin").join(&file);
        if let Err(error) = std::fs::copy(&built, out.join(&file)) {
            fail(&format!("{} was not built: {error}", built.display()));
        }
    }
}

/// `<target>/plugins`, found from `<target>/<profile>/build/<package>/out`.
fn target_directory(out: &Path) -> PathBuf {
    match out.ancestors().nth(4) {
        Some(target) => target.join("plugins"),
        None => out.join("plugins"),
    }
}

/// Adds the target where it is missing, or says the one command that does.
fn ensure_target() {
    let sysroot = Command::new(env("RUSTC")).args(["--print", "sysroot"]).output();
    let present = sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir()
    });
    if present {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if !added.is_ok_and(|status| status.success()) {
        fail(&format!("the target {TARGET} is missing and could not be added; run: rustup target add {TARGET}"));
    }
}

fn build(root: &Path, target: &Path) {
    let mut cargo = Command::new(env("CARGO"));
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "plugin", "--target", TARGET, "--target-dir"])
        .arg(target)
        // What the outer build sets for its own compiler is not meant for this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR");
    for plugin in PLUGINS {
        cargo.args(["-p", plugin]);
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("building the bundled plugins failed: {status}")),
        Err(error) => fail(&format!("cargo could not be run: {error}")),
    }
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set {name}")))
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}
