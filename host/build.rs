//! Builds the bundled plugins for `wasm32-wasip2`, so that the binary can embed them, and lists what `gavel plugin new`
//! writes: the templates, the SDK and the interface.
//!
//! They are built by a cargo of their own into one target directory that every profile shares: the outer cargo holds
//! the lock of its own directory while this runs.

use std::fmt::Write as _;
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

/// What of the repository goes into new plugins' projects.
const AUTHORS_FILES: [&str; 4] = ["sdk/src", "sdk/policy-world/src", "sdk/templates", "wit"];

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
    if let Err(error) = list_authors_files(&root, &out.join("authors_files.rs")) {
        fail(&format!("the SDK's files cannot be listed: {error}"));
    }
}

/// Writes a table of the files: each path in the repository, and its text.
fn list_authors_files(root: &Path, table: &Path) -> std::io::Result<()> {
    let mut files = Vec::new();
    for folder in AUTHORS_FILES {
        walk(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut source = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(root).map_err(std::io::Error::other)?;
        // Writing into a string cannot fail.
        let _ = writeln!(source, "    ({:?}, include_str!({file:?})),", name.display().to_string());
    }
    source.push_str("]\n");
    std::fs::write(table, source)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
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
