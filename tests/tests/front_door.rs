//! What every request meets: tokens, problems, ids, health.

use gavel_tests::{Answer, Figures, GavelServer, Setup, Upstream, User, gavel};
use reqwest::Method;
use serde_json::{Value, json};

#[track_caller]
fn is_unauthorized(answer: Answer) {
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer.refused(401, "unauthorized");
}

async fn knocks(nobody: &User) {
    is_unauthorized(nobody.get("/v1/agents").await);
    is_unauthorized(nobody.post("/v1/agents", &json!({})).await);
    is_unauthorized(nobody.get("/v1/agents/ocs_01hzzzzzzzzzzzzzzzzzzzzzzz/chat").await);
}

#[tokio::test]
async fn without_a_valid_token_nobody_gets_in() {
    let (server, _upstream, alice) = gavel().await;
    knocks(&server.anyone()).await;
    let token = alice.token().unwrap();
    assert!(token.starts_with("gvu_"), "{token}");
    let other_last = if token.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{other_last}", &token[..token.len() - 1]);
    let foreign = "gvu_0000000000000000000000000000000000000000000000000";
    for wrong in ["", "x", typo.as_str(), foreign] {
        knocks(&server.bearer(wrong)).await;
    }
    is_unauthorized(server.anyone().get(&format!("/v1/agents?token={token}")).await);
    is_unauthorized(alice.get(&format!("/v1/agents?token={token}")).await);
    let basic = server.anyone().request(Method::GET, "/v1/agents").header("authorization", format!("Basic {token}"));
    is_unauthorized(alice.send(basic).await);
    alice.get("/v1/agents").await.expect(200);
}

#[tokio::test]
async fn a_refusal_before_the_body_was_read_says_that_the_connection_ends() {
    let (server, _upstream, alice) = gavel().await;
    let unread = server.anyone().post_bytes("/v1/plugins", "application/wasm", vec![b'x'; 300_000]).await;
    assert_eq!(unread.header("connection"), "close");
    is_unauthorized(unread);
    let read = alice.post("/v1/agents", &json!({"no_such_member": 1})).await;
    assert_eq!(read.header("connection"), "", "{}", read.text());
    read.refused(400, "invalid_request");
    assert_eq!(alice.get("/v1/agents").await.header("connection"), "");
}

#[tokio::test]
async fn a_chat_is_refused_before_its_upgrade() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    is_unauthorized(server.anyone().try_chat(&agent).await.err().unwrap());
    is_unauthorized(server.bearer("gvu_x").try_chat(&agent).await.err().unwrap());
    is_unauthorized(server.anyone().try_chat_from_a_browser(&agent).await.err().unwrap());
    let no_upgrade = alice.get(&agent.path("/chat")).await;
    assert_eq!(no_upgrade.header("upgrade"), "websocket");
    no_upgrade.refused(426, "upgrade_required");
}

#[tokio::test]
async fn a_browser_shows_its_token_as_a_subprotocol() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut chat = alice.try_chat_from_a_browser(&agent).await.ok().unwrap();
    assert_eq!(chat.headers["sec-websocket-protocol"], "gavel.chat.v1");
    chat.say("Hello").await.ended("stop");
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let (server, _upstream, alice) = gavel().await;
    for path in ["/", "/v1", "/v1/agent", "/v2/agents", "/log", "/log/tile", "/etc/passwd", "/v1/agents/a/b/c"] {
        alice.get(path).await.refused(404, "not_found");
    }
    let wrong = alice.request(Method::DELETE, "/v1/agents");
    alice.send(wrong).await.refused(405, "method_not_allowed");
    alice.post("/health", &json!({})).await.refused(405, "method_not_allowed");
    server.operator().get("/v1/agents").await.refused(404, "not_found");
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let (_server, _upstream, alice) = gavel().await;
    let with_id = async |path: &str, id: &str| {
        let request = alice.request(Method::GET, path).header("x-request-id", id);
        alice.send(request).await.header("x-request-id").to_owned()
    };
    for path in ["/health", "/v1/agents", "/nowhere"] {
        assert_eq!(with_id(path, "trace-1.a_B").await, "trace-1.a_B");
        for bad in ["two words", "quote\"", &"x".repeat(129)] {
            let given = with_id(path, bad).await;
            assert!(given != bad && !given.is_empty());
        }
    }
    let (one, two) = (alice.get("/health").await, alice.get("/health").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn health_is_for_everyone_and_says_how_the_log_stands() {
    let (server, _upstream, alice) = gavel().await;
    server.is_ready().await;
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let head = server.log().head().await;
    for listener in [server.anyone(), server.operator()] {
        let health = listener.get("/health").await.expect(200);
        assert_eq!(health["status"], "ok");
        assert!(health["version"].is_string() && health["uptime_seconds"].is_u64(), "{health}");
        let workers = health["workers"].as_array().unwrap();
        assert!(!workers.is_empty() && workers.iter().all(|worker| worker["name"].is_string()), "{health}");
        let log = json!({"origin": head.origin.as_str(), "tree_size": 2, "root_hash": head.root.to_string()});
        assert_eq!(health["log"], log);
        for probe in ["/health/live", "/health/ready"] {
            listener.get(probe).await.expect(200);
        }
    }
}

#[tokio::test]
async fn it_is_ready_once_what_most_agents_are_judged_by_is_compiled() {
    let upstream = Upstream::start().await;
    let server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let anyone = server.anyone();
    anyone.get("/health/live").await.expect(200);
    server.is_ready().await;
    let figures = Figures::of(&server).await;
    assert!(figures.one("gavel_sandbox_snapshot_bytes", &[]) > 0.0, "a turn finds its snapshots");
    anyone.get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn the_operator_sees_figures_and_others_do_not() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let metrics = server.operator().get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("\ngavel_log_entries 2\n"), "{}", metrics.text());
    alice.get("/metrics").await.refused(404, "not_found");
}

#[tokio::test]
async fn nothing_of_an_agent_is_kept_by_caches() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    for path in ["/v1/agents".to_owned(), agent.path(""), agent.path("/messages")] {
        assert_eq!(alice.get(&path).await.header("cache-control"), "no-store");
    }
    no_stranger_script(&server).await;
}

/// Pages of other origins may read the log and nothing else.
async fn no_stranger_script(server: &GavelServer) {
    let asked = async |path: &str| {
        let request = server.anyone().request(Method::GET, path).header("origin", "https://stranger.example");
        server.anyone().send(request).await.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(asked("/log/key").await, "*");
    assert_eq!(asked("/v1/agents").await, "");
    assert_eq!(asked("/health").await, "");
}

#[tokio::test]
async fn a_problem_tells_no_secrets() {
    let (server, _upstream, alice) = gavel().await;
    let token = alice.token().unwrap();
    let data_dir = server.data_dir().display().to_string();
    let answers: [Answer; 3] = [
        alice.post_bytes("/v1/agents", "application/json", "{").await,
        alice.get(&format!("/v1/agents?cursor={token}")).await,
        alice.get("/v1/agents/x").await,
    ];
    for answer in answers {
        assert!((400..500).contains(&answer.status) && answer.body != Value::Null);
        let text = answer.text();
        assert!(!text.contains(token) && !text.contains(&data_dir) && !text.contains("src/"), "{text}");
    }
}
