//! Agents: what they are made with, and who may see them.

use gavel_tests::gavel;
use serde_json::{Value, json};

/// The members that every agent is shown with.
const AGENT: [&str; 12] = [
    "agent_id",
    "agent_name",
    "created_at",
    "governance_mode",
    "labels",
    "model",
    "model_provider",
    "policies",
    "session_id",
    "state",
    "system_prompt",
    "updated_at",
];

fn members(object: &Value) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[tokio::test]
async fn an_agent_needs_nothing_said_of_it() {
    let (_server, _upstream, alice) = gavel().await;
    let of_braces = alice.post("/v1/agents", &json!({})).await;
    let of_nothing = alice.post_bytes("/v1/agents", "", "").await;
    for answer in [of_braces, of_nothing] {
        let location = answer.header("location").to_owned();
        let agent = answer.expect(201);
        assert_eq!(members(&agent), AGENT);
        let id = agent["agent_id"].as_str().unwrap();
        let ulid = id.strip_prefix("ocs_").unwrap();
        assert!(ulid.len() == 26 && ulid.bytes().all(|b| b"0123456789abcdefghjkmnpqrstvwxyz".contains(&b)), "{id}");
        assert_eq!(location, format!("/v1/agents/{id}"));
        assert_eq!(agent["agent_name"], "My Agent");
        assert_eq!(agent["model"], "@cf/meta/llama-3.1-8b-instruct");
        assert_eq!(agent["model_provider"], "workers-ai");
        assert_eq!(agent["governance_mode"], "transparent");
        assert_eq!(agent["state"], "stopped");
        assert_eq!((&agent["session_id"], &agent["system_prompt"]), (&Value::Null, &Value::Null));
        assert_eq!(agent["labels"], json!({}));
        let policies: Vec<_> = agent["policies"].as_array().unwrap().iter().map(|p| &p["policy"]).collect();
        assert_eq!(policies, ["pii", "secrets"]);
        assert_eq!(alice.get(&location).await.expect(200), agent);
    }
}

#[tokio::test]
async fn an_agent_is_what_was_wished_for() {
    let (_server, _upstream, alice) = gavel().await;
    let wish = json!({
        "agent_name": "Clerk", "model": "m-1", "model_provider": "mock", "governance_mode": "enforcing",
        "system_prompt": "Be brief.", "labels": {"team": "billing"},
        "policies": [{"policy": "pii", "config": {"action": "block"}, "enforcement": "observe",
                      "stages": ["output"], "on_error": "allow", "release": "whole"}],
    });
    let agent = alice.create_agent(wish.clone()).await;
    let shown = alice.agent(&agent).await;
    for (member, wished) in wish.as_object().unwrap() {
        assert_eq!(shown[member], *wished, "{member}");
    }
    let without = alice.create_agent(json!({"policies": []})).await;
    assert_eq!(without.made["policies"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_is_pointed_at() {
    let (_server, _upstream, alice) = gavel().await;
    let long = "x".repeat(201);
    let large = "x".repeat(64 * 1024 + 1);
    let wrong: [(Value, &[&str]); 14] = [
        (json!({"agent_nam": "x"}), &["/agent_nam"]),
        (json!({"agent_name": 7}), &["/agent_name"]),
        (json!({"agent_name": ""}), &["/agent_name"]),
        (json!({"agent_name": long, "model": long}), &["/agent_name", "/model"]),
        (json!({"governance_mode": "lax"}), &["/governance_mode"]),
        (json!({"system_prompt": large}), &["/system_prompt"]),
        (json!({"labels": {"a/b": 7}}), &["/labels/a~1b"]),
        (json!({"labels": {"a": "x".repeat(257)}}), &["/labels/a"]),
        (json!({"model_provider": "nobody"}), &["/model_provider"]),
        (json!({"policies": [{"policy": "pii"}, {"policy": "nothing"}]}), &["/policies/1/policy"]),
        (json!({"policies": [{"policy": "pii"}, {"policy": "pii"}]}), &["/policies/1/policy"]),
        (json!({"policies": [{"policy": "pii", "enforcement": "maybe"}]}), &["/policies/0/enforcement"]),
        (json!({"policies": [{"policy": "pii", "confg": {}}]}), &["/policies/0/confg"]),
        (json!({"policies": [["pii"]]}), &["/policies/0"]),
    ];
    for (wish, pointers) in wrong {
        alice.post("/v1/agents", &wish).await.points_at(400, "invalid_request", pointers);
    }
    assert_eq!(alice.get("/v1/agents").await.expect(200)["agents"], json!([]), "nothing came of any of them");
}

#[tokio::test]
async fn a_configuration_is_judged_by_its_policys_schema() {
    let (_server, _upstream, alice) = gavel().await;
    let refused = [
        (json!({"action": "shout"}), "/policies/0/config/action"),
        (json!({"actions": {"card": 7}}), "/policies/0/config/actions/card"),
    ];
    for (config, pointer) in refused {
        let wish = json!({"policies": [{"policy": "pii", "config": config}]});
        alice.post("/v1/agents", &wish).await.points_at(422, "invalid_configuration", &[pointer]);
    }
    let unknown = json!({"policies": [{"policy": "pii", "config": {"acton": "block"}}]});
    alice.post("/v1/agents", &unknown).await.refused(422, "invalid_configuration");
}

#[tokio::test]
async fn what_is_no_json_is_no_agent() {
    let (_server, _upstream, alice) = gavel().await;
    let json = "application/json";
    for body in ["{", "[]", r#"["Clerk"]"#, "null", "7", "{} {}", "\u{feff}{}"] {
        alice.post_bytes("/v1/agents", json, body).await.refused(400, "invalid_request");
    }
    alice.post_bytes("/v1/agents", json, b"{\"agent_name\":\"\xff\"}".as_slice()).await.refused(400, "invalid_request");
    alice.post_bytes("/v1/agents", "text/plain", "{}").await.refused(415, "unsupported_media_type");
    let huge = format!(r#"{{"agent_name":"{}"}}"#, "x".repeat(2 << 20));
    alice.post_bytes("/v1/agents", json, huge).await.refused(413, "payload_too_large");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    alice.post_bytes("/v1/agents", json, deep).await.refused(400, "invalid_request");
    alice.create_agent(json!({})).await;
}

#[tokio::test]
async fn agents_are_listed_page_by_page() {
    let (_server, _upstream, alice) = gavel().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(alice.create_agent(json!({"agent_name": format!("agent {number}")})).await.made);
    }
    let mut listed = Vec::new();
    let mut path = "/v1/agents?limit=2".to_owned();
    loop {
        let page = alice.get(&path).await.expect(200);
        let agents = page["agents"].as_array().unwrap().clone();
        assert!((1..=2).contains(&agents.len()));
        listed.extend(agents);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/agents?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, made);
    for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=nonsense", "colour=red"] {
        alice.get(&format!("/v1/agents?{query}")).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_not_found() {
    let (_server, _upstream, alice) = gavel().await;
    for id in ["ocs_01hzzzzzzzzzzzzzzzzzzzzzzz", "ocs_", "x", "OCS_01HZZZZZZZZZZZZZZZZZZZZZZZ", "..%2f.."] {
        let agent = format!("/v1/agents/{id}");
        alice.get(&agent).await.refused(404, "not_found");
        alice.get(&format!("{agent}/messages")).await.refused(404, "not_found");
        alice.get(&format!("{agent}/chat")).await.refused(404, "not_found");
        alice.get(&format!("{agent}/proofs/sha256:{}", "0".repeat(64))).await.refused(404, "not_found");
        for verb in ["start", "stop"] {
            alice.post(&format!("{agent}/{verb}"), &json!({})).await.refused(404, "not_found");
        }
    }
}
