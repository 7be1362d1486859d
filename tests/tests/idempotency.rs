//! `Idempotency-Key`: asking again does it once.

use gavel_tests::{Answer, User, gavel};
use reqwest::Method;
use serde_json::{Value, json};

async fn under(key: &str, alice: &User, path: &str, body: &Value) -> Answer {
    alice.send(alice.request(Method::POST, path).json(body).header("idempotency-key", key)).await
}

async fn agents(alice: &User) -> usize {
    alice.get("/v1/agents").await.expect(200)["agents"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() {
    let (mut server, _upstream, alice) = gavel().await;
    let wish = json!({"agent_name": "Clerk", "system_prompt": "Be brief."});
    let first = under("order 7", &alice, "/v1/agents", &wish).await;
    let path = first.header("location").to_owned();
    let again = under("order 7", &alice, "/v1/agents", &wish).await;
    assert_eq!((again.status, again.header("location"), &again.body), (201, path.as_str(), &first.body));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(again.bytes, first.bytes);
    alice.patch(&path, &json!({"agent_name": "Renamed"})).await.expect(200);

    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    let later = under("order 7", &alice, "/v1/agents", &wish).await;
    assert_eq!((later.status, &later.bytes), (201, &first.bytes), "as it was");
    under("order 7", &alice, "/v1/agents", &json!({})).await.refused(422, "idempotency_key_reused");
    assert_eq!(agents(&alice).await, 1);
    assert_ne!(under("order 8", &alice, "/v1/agents", &wish).await.expect(201), first.body);

    alice.delete(&path).await;
    under("order 7", &alice, "/v1/agents", &wish).await.refused(404, "not_found");
    assert_eq!(agents(&alice).await, 1);
}

#[tokio::test]
async fn requests_at_once_are_done_once() {
    let (_server, _upstream, alice) = gavel().await;
    let wish = json!({"agent_name": "Clerk"});
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (alice, wish) = (alice.clone(), wish.clone());
            tokio::spawn(async move { under("one", &alice, "/v1/agents", &wish).await.expect(201) })
        })
        .collect();
    let mut made = Vec::new();
    for answer in asked {
        made.push(answer.await.unwrap());
    }
    assert!(made.iter().all(|agent| *agent == made[0]), "{made:?}");
    assert_eq!(agents(&alice).await, 1);
}

#[tokio::test]
async fn a_checkpoint_is_made_once_under_a_key() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let path = agent.path("/checkpoints");
    let first = under("one", &alice, &path, &json!({})).await.expect(201);
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    assert_eq!(under("one", &alice, &path, &json!({})).await.expect(201), first);
    assert_ne!(under("two", &alice, &path, &json!({})).await.expect(201), first);
    assert_eq!(alice.get(&path).await.expect(200)["checkpoints"].as_array().unwrap().len(), 2);
    under("one", &alice, "/v1/agents", &json!({})).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free_and_a_key_has_bounds() {
    let (_server, _upstream, alice) = gavel().await;
    under("one", &alice, "/v1/agents", &json!({"agent_nam": "x"})).await.points_at(
        400,
        "invalid_request",
        &["/agent_nam"],
    );
    under("one", &alice, "/v1/agents", &json!({"agent_name": "x"})).await.expect(201);
    for bad in ["", &"x".repeat(256), "tab\there"] {
        under(bad, &alice, "/v1/agents", &json!({})).await.refused(400, "invalid_request");
    }
    under(&"x".repeat(255), &alice, "/v1/agents", &json!({})).await.expect(201);
    let twice = alice.request(Method::POST, "/v1/agents").header("idempotency-key", "a").header("idempotency-key", "b");
    alice.send(twice.json(&json!({}))).await.refused(400, "invalid_request");
}
