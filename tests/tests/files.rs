//! Files: they come back as they were sent, are judged on the way in, and nothing of them stays that should not.

use std::path::{Path, PathBuf};

use gavel_log::Hash;
use gavel_tests::{Agent, Form, User, gavel, gavel_with, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CARD: &str = "4111 1111 1111 1111";
/// More than one object's part, and no whole number of chunks.
const LARGE: usize = (9 << 20) + 12_345;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((at / 7 + at * 13) % 251).unwrap() | 0x80).collect()
}

/// All files below a directory.
pub(crate) fn objects(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(objects(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Waits until nothing is left below a directory.
pub(crate) async fn empty(directory: &Path) {
    let emptied = async {
        while !objects(directory).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within("a directory without objects", emptied).await;
}

async fn listed(alice: &User, agent: &Agent) -> Vec<Value> {
    alice.get(&agent.path("/files")).await.expect(200)["files"].as_array().unwrap().clone()
}

/// Sends so much of an upload, of which more is announced, and gives the connection.
async fn begun(alice: &User, agent: &Agent, form: Form, more: usize) -> TcpStream {
    let body = form.broken_off();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: gavel\r\nauthorization: Bearer {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        agent.path("/files"),
        alice.token().unwrap(),
        Form::content_type(),
        body.len() + more
    );
    let mut stream = TcpStream::connect(alice.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream
}

#[tokio::test]
async fn files_come_back_as_they_were_sent() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let large = bytes(LARGE);
    let form = Form::new().file("film.bin", "video/x-film", &large).file("empty", "text/plain; charset=utf-8", b"");
    let answer = alice.upload(&agent, form).await.expect(201);
    let files = answer["files"].as_array().unwrap();
    let sizes: Vec<_> = files.iter().map(|file| (file["filename"].as_str().unwrap(), file["size"].as_u64())).collect();
    assert_eq!(sizes, [("film.bin", Some(LARGE as u64)), ("empty", Some(0))]);
    assert!(files[0]["governance"].is_null(), "nobody can judge it");
    for (file, sent) in files.iter().zip([large.as_slice(), b""]) {
        assert_eq!(file["sha256"], Hash::of(sent).to_string());
        let path = agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()));
        let answer = alice.get(&path).await;
        assert_eq!(answer.header("etag"), format!("\"{}\"", Hash::of(sent)));
        assert_eq!(answer.header("content-type"), file["content_type"].as_str().unwrap());
        assert_eq!(answer.header("content-length"), sent.len().to_string());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "sandbox");
        assert_eq!(answer.status, 200);
        assert!(answer.bytes == sent, "the bytes are others");
    }
    assert_eq!(alice.get(&agent.path("/files/file_01hzzzzzzzzzzzzzzzzzzzzzzz")).await.status, 404);
    assert_eq!(objects(&server.data_dir().join("files")).len(), 2);
    let other = alice.create_agent(json!({})).await;
    let elsewhere = other.path(&format!("/files/{}", files[0]["file_id"].as_str().unwrap()));
    alice.get(&elsewhere).await.refused(404, "not_found");
    alice.delete(&elsewhere).await.refused(404, "not_found");
    server.anyone().get(&agent.path("/files")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_part_of_a_file_is_given_to_who_asks_for_it() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let sent = bytes(300_000);
    let file = alice.uploads(&agent, "a.bin", "application/x-any", &sent).await;
    let path = agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()));
    let etag = format!("\"{}\"", file["sha256"].as_str().unwrap());
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-65536", 65_535, 65_537),
        ("bytes=-5", 299_995, 300_000),
        ("bytes=7-", 7, 300_000),
    ] {
        let answer = alice.get_with(&path, &[("range", range), ("if-range", &etag)]).await;
        assert_eq!((answer.status, answer.header("content-length")), (206, (to - from).to_string().as_str()));
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/300000", to - 1));
        assert!(answer.bytes == sent[from..to], "{range}");
    }
    let beyond = alice.get_with(&path, &[("range", "bytes=300000-")]).await;
    assert_eq!(beyond.header("content-range"), "bytes */300000");
    beyond.refused(416, "range_not_satisfiable");
    let changed = alice.get_with(&path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!((changed.status, changed.bytes.len()), (200, 300_000));
    let known = alice.get_with(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status, known.bytes.len(), known.header("etag")), (304, 0, etag.as_str()));
    let head = alice.send(alice.request(reqwest::Method::HEAD, &path)).await;
    assert_eq!((head.status, head.header("content-length"), head.bytes.len()), (200, "300000", 0));
}

#[tokio::test]
async fn names_and_types_are_made_harmless() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    for (given, kept) in
        [("../../etc/passwd", "passwd"), ("", "unnamed"), ("..", "unnamed"), ("Straße €.txt", "Straße €.txt")]
    {
        let file = alice.uploads(&agent, given, "no type at all", b"text").await;
        assert_eq!((&file["filename"], &file["content_type"]), (&json!(kept), &json!("application/octet-stream")));
        let answer = alice.get(&agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()))).await;
        assert!(answer.header("content-disposition").starts_with("attachment; "), "{given}");
    }
    let nameless = alice.upload(&agent, Form::new().part("form-data; name=\"file\"", b"x")).await.expect(201);
    assert_eq!(nameless["files"][0]["filename"], "unnamed");
}

#[tokio::test]
async fn files_are_listed_page_by_page_and_removed_one_by_one() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    for number in 0..5 {
        alice.uploads(&agent, &format!("{number}.txt"), "text/plain", b"text").await;
    }
    let all = listed(&alice, &agent).await;
    assert_eq!(all.len(), 5);
    let members: Vec<&str> = all[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["content_type", "created_at", "file_id", "filename", "sha256", "size"]);
    let (mut paged, mut path) = (Vec::new(), agent.path("/files?limit=2"));
    loop {
        let page = alice.get(&path).await.expect(200);
        paged.extend(page["files"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = agent.path(&format!("/files?limit=2&cursor={cursor}"));
    }
    assert_eq!(paged, all);
    for query in ["limit=0", "limit=201", "cursor=nonsense", "colour=red"] {
        alice.get(&agent.path(&format!("/files?{query}"))).await.refused(400, "invalid_request");
    }
    for file in &all {
        let path = agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()));
        assert_eq!(alice.delete(&path).await.status, 204);
        alice.get(&path).await.refused(404, "not_found");
        alice.delete(&path).await.refused(404, "not_found");
    }
    assert_eq!(listed(&alice, &agent).await, Vec::<Value>::new());
    assert_eq!(objects(&server.data_dir().join("files")), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_form_that_is_wrong_leaves_nothing() {
    let (server, _upstream, alice) = gavel_with("[limits]\nfile_bytes = 1000\n").await;
    let agent = alice.create_agent(json!({})).await;
    let good = || Form::new().file("good.txt", "text/plain", b"text");
    alice.upload(&agent, Form::new()).await.refused(400, "invalid_request");
    let field = good().part("form-data; name=\"comment\"", b"hello");
    alice.upload(&agent, field).await.refused(400, "invalid_request");
    let many = (0..17).fold(Form::new(), |form, _| form.file("a", "text/plain", b"a"));
    alice.upload(&agent, many).await.refused(400, "invalid_request");
    let large = good().file("large.bin", "text/plain", &bytes(1001));
    let refused = alice.upload(&agent, large).await.refused(413, "file_too_large");
    assert!(refused["detail"].as_str().unwrap().contains("1000"), "{refused}");
    alice.upload(&agent, good().file("huge.bin", "text/plain", &bytes(8 << 20))).await.refused(413, "file_too_large");
    let path = agent.path("/files");
    alice.post_bytes(&path, &Form::content_type(), good().broken_off()).await.refused(400, "invalid_request");
    alice.post_bytes(&path, &Form::content_type(), "no form at all").await.refused(400, "invalid_request");
    alice.post_bytes(&path, "multipart/form-data", good().whole()).await.refused(400, "invalid_request");
    alice.post_bytes(&path, "application/json", "{}").await.refused(415, "unsupported_media_type");
    let endless = Form::new().part(&format!("form-data; name=\"{}\"", "x".repeat(4 << 20)), b"");
    alice.upload(&agent, endless).await.refused(400, "invalid_request");

    assert_eq!(listed(&alice, &agent).await, Vec::<Value>::new());
    empty(&server.data_dir().join("files")).await;
    alice.upload(&agent, good().file("edge.bin", "text/plain", &bytes(1000))).await.expect(201);
    assert_eq!(listed(&alice, &agent).await.len(), 2);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let directory = server.data_dir().join("files");
    let form = Form::new().file("whole.txt", "text/plain", b"text").file("half.bin", "a/b", &bytes(LARGE));
    let stream = begun(&alice, &agent, form, 1000).await;
    let arrived = async {
        while objects(&directory).len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    within("the upload's beginning", arrived).await;
    drop(stream);
    empty(&directory).await;
    assert_eq!(listed(&alice, &agent).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_crash_leaves_whole_files_and_nothing_of_the_others() {
    let (mut server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let sent = bytes(100_000);
    let kept = alice.uploads(&agent, "kept.bin", "a/b", &sent).await;
    let directory = server.data_dir().join("files");
    let form = Form::new().file("whole.txt", "text/plain", b"text").file("half.bin", "a/b", &bytes(LARGE));
    let mut stream = begun(&alice, &agent, form, 1000).await;
    let arrived = async {
        while objects(&directory).len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    within("the upload's beginning", arrived).await;
    server.kill().await;
    let _ = stream.read(&mut [0]).await;
    server.start_again().await;
    let alice = server.admin();
    assert_eq!(objects(&directory).len(), 1);
    let shown = listed(&alice, &agent).await;
    assert_eq!((shown.len(), &shown[0]["sha256"]), (1, &kept["sha256"]));
    let again = alice.get(&agent.path(&format!("/files/{}", kept["file_id"].as_str().unwrap()))).await;
    assert!(again.bytes == sent, "the bytes are others");
}

#[tokio::test]
async fn what_is_kept_on_disk_says_nothing() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let secret = "the goose flies at midnight; ".repeat(5000);
    alice.uploads(&agent, "plan.txt", "text/plain", secret.as_bytes()).await;
    let kept = objects(&server.data_dir());
    assert!(kept.iter().any(|path| path.starts_with(server.data_dir().join("files"))));
    for path in kept {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(17).any(|window| window == b"goose flies at mi");
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn a_text_is_judged_at_its_upload() {
    let (_server, _upstream, alice) = gavel().await;
    let text = format!("The card is {CARD}.");
    let block = json!([{"policy": "pii", "config": {"action": "block"}}]);
    let enforcing = |policies: &Value| json!({"governance_mode": "enforcing", "policies": policies});

    let strict = alice.create_agent(enforcing(&block)).await;
    let form =
        Form::new().file("fine.txt", "text/plain", b"Nothing here.").file("bad.txt", "text/plain", text.as_bytes());
    let refused = alice.upload(&strict, form).await.refused(422, "file_blocked");
    let decisions: Vec<_> =
        refused["governance"].as_array().unwrap().iter().map(|result| &result["decision"]).collect();
    assert_eq!(decisions, ["allow", "block"]);
    let leaf = refused["governance"][1]["leaf_hash"].as_str().unwrap();
    assert!(refused["detail"].as_str().unwrap().contains(leaf));
    let record = alice.record(&strict, leaf).await;
    assert_eq!(
        (&record["stage"], &record["outcome"], &record["message"]),
        (&json!("file"), &json!("blocked"), &Value::Null)
    );
    assert_eq!(listed(&alice, &strict).await, Vec::<Value>::new());

    let lax = alice.create_agent(json!({"governance_mode": "transparent", "policies": block})).await;
    let kept = alice.uploads(&lax, "bad.txt", "text/plain", text.as_bytes()).await;
    let result = &kept["governance"];
    assert_eq!(
        (&result["stage"], &result["decision"], &result["enforced"]),
        (&json!("file"), &json!("block"), &json!(false))
    );
    assert_eq!((&result["file_id"], &result["message_id"]), (&kept["file_id"], &Value::Null));

    let redacting = alice.create_agent(enforcing(&json!([{"policy": "pii"}]))).await;
    let kept = alice.uploads(&redacting, "bad.txt", "text/plain", text.as_bytes()).await;
    assert_eq!((&kept["governance"]["decision"], &kept["governance"]["enforced"]), (&json!("redact"), &json!(true)));
    let path = redacting.path(&format!("/files/{}", kept["file_id"].as_str().unwrap()));
    assert_eq!(alice.get(&path).await.text(), text, "its owner gets back what was uploaded");
    let leaf = kept["governance"]["leaf_hash"].as_str().unwrap();
    let proof = alice.get(&redacting.path(&format!("/proofs/{leaf}?opening=content,released"))).await.expect(200);
    assert_eq!(proof["opening"]["content"]["text"], text);
    assert_eq!(proof["opening"]["released"]["text"], "The card is [redacted:card].");

    assert_eq!(alice.delete(&path).await.status, 204);
    let proof = alice.get(&redacting.path(&format!("/proofs/{leaf}?opening=content"))).await.expect(200);
    assert_eq!(proof["opening"], json!({}), "the proof stays, and says nothing any more");

    let inputs_alone = enforcing(&json!([{"policy": "pii", "stages": ["input"]}]));
    let unjudged = alice.create_agent(inputs_alone).await;
    let kept = alice.uploads(&unjudged, "bad.txt", "text/plain", text.as_bytes()).await;
    assert!(kept["governance"].is_null());
}

#[tokio::test]
async fn an_object_that_is_gone_or_altered_is_noticed() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    for damage in ["cut", "alter", "remove"] {
        let file = alice.uploads(&agent, "a.bin", "a/b", &bytes(1000)).await;
        let path = agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()));
        let object = objects(&server.data_dir().join("files")).pop().unwrap();
        let mut sealed = std::fs::read(&object).unwrap();
        match damage {
            "cut" => std::fs::write(&object, &sealed[..500]).unwrap(),
            "alter" => {
                sealed[500] ^= 1;
                std::fs::write(&object, &sealed).unwrap();
            }
            _ => std::fs::remove_file(&object).unwrap(),
        }
        alice.get(&path).await.refused(500, "internal");
        assert_eq!(alice.delete(&path).await.status, 204, "{damage}: it can be removed all the same");
    }
}

#[tokio::test]
async fn a_deleted_agents_files_go_with_it() {
    let (server, _upstream, alice) = gavel().await;
    let (agent, other) = (alice.create_agent(json!({})).await, alice.create_agent(json!({})).await);
    for number in 0..3 {
        alice.uploads(&agent, &format!("{number}.txt"), "text/plain", b"text").await;
    }
    alice.uploads(&other, "other.txt", "text/plain", b"text").await;
    assert_eq!(alice.delete(&agent.path("")).await.status, 204);
    empty(&server.data_dir().join("files").join(&agent.id)).await;
    assert_eq!(listed(&alice, &other).await.len(), 1);
    assert_eq!(objects(&server.data_dir().join("files")).len(), 1);
    alice.get(&agent.path("/files")).await.refused(404, "not_found");
}
