//! What the operator reads off a server's metrics.

use std::collections::BTreeSet;

use gavel_tests::{Figures, GavelServer, MOCK_KEY, Sample, Script, Setup, Upstream, User, gavel};
use serde_json::json;

#[tokio::test]
async fn turns_verdicts_commits_and_requests_are_counted() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    let mut chat = alice.chat(&agent).await;
    chat.say("Good morning").await.ended("stop");
    upstream.will_say(["Ask jane.doe@example.org", " about it."]);
    chat.say("Whom shall I ask?").await.ended("stop");
    upstream.will(Script::refuses(401));
    chat.say("Are you there?").await.ended("error");
    alice.get("/no/such/path").await.refused(404, "not_found");

    let figures = Figures::of(&server).await;
    assert_eq!(figures.one("gavel_turns_total", &[("mode", "enforcing"), ("finish_reason", "stop")]), 2.0);
    assert_eq!(figures.one("gavel_turns_total", &[("mode", "enforcing"), ("finish_reason", "error")]), 1.0);
    assert_eq!(figures.sum("gavel_turn_seconds_count"), 3.0);
    assert_eq!(figures.sum("gavel_turn_first_chunk_seconds_count"), 2.0);
    let pii = |stage, decision| {
        figures.one("gavel_policy_verdicts_total", &[("policy", "pii"), ("stage", stage), ("decision", decision)])
    };
    assert_eq!((pii("input", "allow"), pii("output", "redact"), pii("output", "allow")), (3.0, 1.0, 2.0));
    let redacted = [("stage", "output"), ("mode", "enforcing"), ("decision", "redact"), ("enforced", "true")];
    assert_eq!(figures.one("gavel_governance_results_total", &redacted), 1.0);
    assert_eq!(figures.one("gavel_policy_evaluation_seconds_count", &[("policy", "secrets")]), 6.0);
    assert_eq!(figures.one("gavel_upstream_requests_total", &[("provider", "mock"), ("status", "2xx")]), 2.0);
    assert_eq!(figures.one("gavel_upstream_requests_total", &[("provider", "mock"), ("status", "4xx")]), 1.0);
    assert_eq!(figures.one("gavel_upstream_first_byte_seconds_count", &[("provider", "mock")]), 3.0);
    let refused = [("provider", "mock"), ("code", "provider_unauthorized")];
    assert_eq!(figures.one("gavel_provider_errors_total", &refused), 1.0);
    assert_eq!(figures.one("gavel_provider_tokens_total", &[("provider", "mock"), ("direction", "input")]), 22.0);
    // Six seals, and what came before them.
    let commits = figures.one("gavel_store_commits_total", &[("outcome", "written")]);
    assert!(commits >= 6.0, "{commits}");
    assert_eq!(figures.sum("gavel_store_commit_seconds_count"), commits);
    assert!(figures.sum("gavel_store_commit_operations_sum") >= commits);
    assert_eq!(figures.one("gavel_log_entries", &[]), 6.0);
    assert!(figures.one("gavel_store_journal_bytes", &[]) > 0.0);
    assert_eq!(figures.one("gavel_sockets_open", &[]), 1.0);
    assert_eq!(figures.one("gavel_turns_open", &[]), 0.0);
    let made = [("method", "POST"), ("route", "/v1/agents"), ("status", "2xx")];
    assert_eq!(figures.one("gavel_http_requests_total", &made), 1.0);
    let upgraded = [("method", "GET"), ("route", "/v1/agents/{id}/chat"), ("status", "1xx")];
    assert_eq!(figures.one("gavel_http_requests_total", &upgraded), 1.0);
    let missing = [("method", "GET"), ("route", "none"), ("status", "4xx")];
    assert_eq!(figures.one("gavel_http_requests_total", &missing), 1.0);
    if cfg!(target_os = "linux") {
        assert!(figures.one("process_resident_memory_bytes", &[]) > 1e6);
        assert!(figures.one("process_cpu_seconds_total", &[]) > 0.0);
    }
}

#[tokio::test]
async fn no_label_tells_of_a_person_an_agent_or_a_text() {
    let (server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"agent_name": "Rosebud", "model": "a-secret-model"})).await;
    upstream.will_say(["The answer is", " forty-two."]);
    alice.chat(&agent).await.say("What is the question?").await.ended("stop");
    alice.get(&format!("/v1/agents/{}-nobodys", agent.id)).await.refused(404, "not_found");
    server.anyone().get("/v1/agents?secret=1").await.refused(401, "unauthorized");
    let text = server.operator().get("/metrics").await.text();
    let token = alice.token().unwrap();
    let told = [&agent.id, token, MOCK_KEY, "admin", "Rosebud", "a-secret-model", "forty", "question", "secret=1"];
    for told in told {
        assert!(!text.contains(told), "{told} stands in the metrics");
    }
}

#[tokio::test]
async fn both_formats_say_the_same() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Good morning").await.ended("stop");
    // The second scrape counts the first; info has its suffix in one of them only, and bounds are written differently.
    let series = |figures: &Figures| {
        let stays = |sample: &&Sample| sample.labels.get("route").is_none_or(|route| route != "/metrics");
        let named = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            if let Some(bound) = labels.get_mut("le") {
                *bound = bound.parse::<f64>().unwrap().to_string();
            }
            (sample.name.trim_end_matches("_info").to_owned(), labels)
        };
        figures.samples().iter().filter(stays).map(named).collect::<BTreeSet<_>>()
    };
    let (classic, open) = (Figures::of(&server).await, Figures::of_open_metrics(&server).await);
    let (classic, open) = (series(&classic), series(&open));
    assert_eq!(classic.symmetric_difference(&open).collect::<Vec<_>>(), Vec::<&_>::new());
}

/// A server with pools of this size.
async fn pools(policies: u32, providers: u32) -> (GavelServer, Upstream, User) {
    let upstream = Upstream::start().await;
    let setup = Setup::with(&upstream)
        .env("GAVEL_PLUGINS__POLICY_INSTANCES", &policies.to_string())
        .env("GAVEL_PLUGINS__PROVIDER_INSTANCES", &providers.to_string());
    let server = GavelServer::start(setup).await;
    let alice = server.admin();
    (server, upstream, alice)
}

#[tokio::test]
async fn a_full_pool_of_providers_is_busy_and_recovers() {
    let (server, upstream, alice) = pools(512, 1).await;
    let agent = alice.starts(json!({})).await;
    let (slow, pace) = Script::says_at_a_pace(["Slowly."]);
    upstream.will(slow);
    let (mut first, mut second) = (alice.chat(&agent).await, alice.chat(&agent).await);
    let id = first.start_saying("One").await;
    let begun = first.frames_until("stream_start").await;
    let leaves = server.log().head().await.size;

    let turn = second.say("Two").await;
    assert_eq!((turn.shape(), turn.error["code"].as_str()), (vec!["error".to_owned()], Some("busy")));
    assert!(turn.error["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{}", turn.error);
    assert_eq!(server.log().head().await.size, leaves, "being busy is no verdict");
    let figures = Figures::of(&server).await;
    assert_eq!(figures.one("gavel_sandbox_permits_refused_total", &[("pool", "providers")]), 1.0);
    assert_eq!(figures.one("gavel_turns_refused_total", &[("code", "busy")]), 1.0);
    assert_eq!(figures.one("gavel_sandbox_instances", &[("pool", "providers")]), 1.0);
    assert_eq!(figures.one("gavel_sandbox_instances_limit", &[("pool", "providers")]), 1.0);

    pace.let_all_go();
    first.rest_of_turn(&id, begun).await.ended("stop");
    second.say("Three").await.ended("stop");
    assert_eq!(Figures::of(&server).await.one("gavel_sandbox_instances", &[("pool", "providers")]), 0.0);
}

#[tokio::test]
async fn a_full_pool_of_policies_is_busy_and_recovers() {
    // An agent of two policies takes four instances, and 32 is the least that may be configured.
    const FIT: usize = 8;
    let (server, upstream, alice) = pools(32, 64).await;
    let agent = alice.starts(json!({})).await;
    let mut open = Vec::new();
    for _ in 0..FIT {
        let (slow, pace) = Script::says_at_a_pace(["Slowly."]);
        upstream.will(slow);
        let mut chat = alice.chat(&agent).await;
        let id = chat.start_saying("Hello").await;
        let begun = chat.frames_until("stream_start").await;
        open.push((chat, id, begun, pace));
    }
    let mut late = alice.chat(&agent).await;
    let turn = late.say("And I?").await;
    assert_eq!(turn.error["code"], "busy", "{:?}", turn.frames);
    let figures = Figures::of(&server).await;
    assert_eq!(figures.one("gavel_sandbox_permits_refused_total", &[("pool", "policies")]), 1.0);
    assert_eq!(figures.one("gavel_sandbox_instances", &[("pool", "policies")]), 32.0);
    assert_eq!(server.log().head().await.size, FIT as u64);
    let tried = alice.post("/v1/policies/pii/evaluate", &json!({"text": "Hello"})).await;
    assert_eq!(tried.header("retry-after"), "1");
    tried.refused(503, "busy");
    for (mut chat, id, begun, pace) in open {
        pace.let_all_go();
        chat.rest_of_turn(&id, begun).await.ended("stop");
    }
    late.say("And now?").await.ended("stop");
    alice.post("/v1/policies/pii/evaluate", &json!({"text": "Hello"})).await.expect(200);
}

/// Names of ours in a text, as a query or a table has them.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("gavel_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// A family's name as it is registered.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count", "_total", "_info"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// A family without a sample is not shown, so what is registered is read where it is.
#[test]
fn the_documentation_names_every_metric_and_the_dashboard_no_other() {
    let sources =
        [include_str!("../../host/src/telemetry/metrics.rs"), include_str!("../../host/src/server/readings.rs")];
    // Between quotes: the sources name crates too.
    let literals = sources.into_iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let registered: BTreeSet<_> = literals.flat_map(names_in).collect();
    let documented = names_in(include_str!("../../docs/operations.md"));
    let documented: BTreeSet<_> = documented.iter().map(|name| family(name).to_owned()).collect();
    assert_eq!(registered.symmetric_difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());

    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../docs/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let asked: BTreeSet<_> = queries.flat_map(|query| names_in(query["expr"].as_str().unwrap())).collect();
    assert!(asked.len() > 25, "{asked:?}");
    for name in &asked {
        assert!(registered.contains(family(name)), "the dashboard asks for {name}");
    }
}
