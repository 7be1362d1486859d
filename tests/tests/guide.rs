//! `docs/write-a-policy.md`, followed word by word: its commands are run in an empty directory, and what they print is held
//! against what the guide says that they print.

use std::path::Path;
use std::time::{Duration, Instant};

use gavel_tests::gavel_binary;
use tokio::process::Command;

/// What the issue promises.
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// Stands between the outputs of two blocks.
const MARK: &str = "--- the next block ---";

/// A block of commands, and what the guide says that it prints.
struct Step {
    commands: String,
    prints: Option<String>,
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<(String, String)> = None;
    for line in guide.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some((language.to_owned(), String::new())),
            (None, None) => {}
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (Some((language, text)), Some(_)) => {
                match (language.as_str(), steps.last_mut()) {
                    ("sh", _) => steps.push(Step { commands: std::mem::take(text), prints: None }),
                    ("text", Some(last)) => last.prints = Some(std::mem::take(text)),
                    _ => {}
                }
                block = None;
            }
        }
    }
    steps
}

/// Whether a line is as the guide has it, where `…` stands for anything.
fn is_as(line: &str, told: &str) -> bool {
    let mut parts = told.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut open = false;
    for part in parts {
        open = true;
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || (open && told.ends_with('…'))
}

/// Every line that the guide shows is printed, in this order; there may be others between.
fn check(step: &Step, printed: &str) {
    let Some(told) = &step.prints else { return };
    let mut lines = printed.lines();
    for told in told.lines() {
        assert!(lines.any(|line| is_as(line, told)), "{}\ndoes not print {told:?}, but\n{printed}", step.commands);
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
#[ignore = "builds a project with what crates.io has: `.ci/run` runs it"]
async fn the_guide_is_followed_word_by_word_in_less_than_five_minutes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(root.join("docs/write-a-policy.md")).unwrap();
    // Its two ports, since others may have them on this machine.
    let guide = guide.replace("127.0.0.1:8787", &format!("127.0.0.1:{}", free_port()));
    let steps = steps(&guide);
    assert!(steps.len() > 8, "the guide has fewer commands than it had");
    let listen = guide.split("GAVEL_URL=http://").nth(1).unwrap().lines().next().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    let home = directory.path().join("empty");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(gavel_binary(), bin.join("gavel")).unwrap();
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p)' EXIT\n");
    for step in &steps {
        script.push_str(&format!("{}echo '{MARK}'\n", step.commands));
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let started = Instant::now();
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&home)
        .env("PATH", path)
        .env("GAVEL_LISTEN", listen)
        .env("GAVEL_ADMIN_LISTEN", "127.0.0.1:0")
        // Quick to build matters more here than quick to run; what is between is kept with the other plugins'.
        .env("CARGO_BUILD_BUILD_DIR", gavel_binary().ancestors().nth(2).unwrap().join("plugins"))
        .envs([("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"), ("CARGO_PROFILE_RELEASE_LTO", "off")])
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env_remove("CARGO_TARGET_DIR")
        // Meant for other stories: the server takes what begins so as its configuration.
        .env_remove("GAVEL_TEMPLATES")
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(2 * FIVE_MINUTES, ran).await.expect("the guide ends").unwrap();
    let took = started.elapsed();
    let out = String::from_utf8_lossy(&ran.stdout);
    let err = String::from_utf8_lossy(&ran.stderr);
    let log = std::fs::read_to_string(home.join("gavel.log")).unwrap_or_default();
    assert!(ran.status.success(), "{out}\n{err}\n{log}");
    for (step, printed) in steps.iter().zip(out.split(&format!("{MARK}\n"))) {
        check(step, printed);
    }
    println!("the guide took {} s", took.as_secs());
    assert!(took < FIVE_MINUTES, "{took:?}");
}

#[test]
fn a_line_is_as_the_guide_has_it() {
    assert!(is_as("a b c", "a b c") && !is_as("a b c d", "a b c") && !is_as("a", "a b"));
    assert!(is_as("a b c", "a…c") && is_as("a b c", "…b…") && !is_as("a b c", "…d…") && !is_as("a b c", "a…b"));
}
