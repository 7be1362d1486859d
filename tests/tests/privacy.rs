//! What is said stays between those who say it: not in the clear on disk, not in logs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gavel_tests::{GavelServer, MOCK_KEY, Script, Setup, Upstream};
use serde_json::json;

/// Everything, of the server's own.
pub(crate) const VERBOSE: &str = "debug,gavel=trace,gavel_sandbox=trace,gavel_store=trace,gavel_log=trace";

fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// The names of the files under a directory that hold this text.
pub(crate) fn holding(directory: &Path, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    files(directory, &mut all);
    assert!(!all.is_empty());
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    all.retain(|path| holds(&std::fs::read(path).unwrap()));
    all.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn what_is_said_is_nowhere_in_the_clear() {
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream).log_level(VERBOSE)).await;
    let alice = server.admin();
    let mut marks = vec!["4012 8888 8888 1881".to_owned()];
    for mode in ["transparent", "enforcing"] {
        let mark = |what: &str| format!("zebra-{mode}-{what}-crossing");
        let wish = json!({"governance_mode": mode, "system_prompt": format!("Mind {}.", mark("prompt"))});
        let agent = alice.starts(wish).await;
        let mut chat = alice.chat(&agent).await;
        upstream.will(Script::says(["Certainly: ", &mark("answer"), ", and 4012 8888 8888 1881."]));
        chat.say(&format!("Tell of {}, not of 4012 8888 8888 1881.", mark("question"))).await.ended("stop");
        upstream.will(Script::refuses(401));
        chat.say(&format!("And of {}?", mark("failure"))).await.ended("error");
        chat.send(json!({"type": "message", "content": mark("question"), "unknown": mark("field")})).await;
        chat.next_frame().await;
        marks.extend(["answer", "question", "failure", "field"].map(mark));
        assert!(alice.messages(&agent).await[0].to_string().contains(&mark("question")), "its owner may read it");
    }
    let token = alice.token().unwrap().to_owned();
    server.ask_to_stop();
    assert!(server.ended().await.success());
    for mark in &marks {
        assert_eq!(holding(&server.data_dir(), mark), Vec::<String>::new(), "{mark}");
        assert!(!server.said().contains(mark.as_str()), "{mark} is in the server's log");
    }
    assert_eq!(holding(&server.data_dir(), MOCK_KEY), Vec::<String>::new());
    assert!(!server.said().contains(MOCK_KEY));
    assert_eq!(holding(&server.data_dir(), &token), ["admin-token"]);
    assert_eq!(server.said().matches(&token).count(), 1, "the token is shown once");
}

#[tokio::test]
async fn secrets_are_their_owners_alone() {
    let upstream = Upstream::start().await;
    let mut server = GavelServer::start(Setup::with(&upstream)).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = server.data_dir();
    assert_eq!(mode(&data), 0o700);
    for file in ["admin-token", "log-signing-key"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
    server.kill().await;
    server.start_again().await;
    assert_eq!(std::fs::read_to_string(data.join("admin-token")).unwrap(), token);
    assert!(!server.said().contains("gvu_"), "a later start shows no token");
    server.admin().get("/v1/agents").await.expect(200);
}

#[tokio::test]
async fn a_clients_words_come_back_in_no_error() {
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream)).await;
    let alice = server.admin();
    let agent = alice.starts(json!({})).await;
    upstream.will(Script::answers(
        400,
        "application/json",
        format!(r#"{{"error":{{"message":"bad key {MOCK_KEY}"}}}}"#),
    ));
    let turn = alice.chat(&agent).await.say("Hello").await;
    assert!(!turn.ended("error").shows(MOCK_KEY), "{:#?}", turn.frames);
    assert!(!server.said().contains(MOCK_KEY), "{}", server.said());
}
