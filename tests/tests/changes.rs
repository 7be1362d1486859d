//! What an owner changes of an agent that is there already.

use gavel_tests::{Script, gavel, gavel_with};
use serde_json::{Value, json};

#[tokio::test]
async fn a_change_reaches_what_it_names_and_nothing_else() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({"system_prompt": "Be brief.", "labels": {"team": "billing"}})).await;
    let changes = [
        json!({"agent_name": "Clerk"}),
        json!({"model": "m-2", "model_provider": "mock"}),
        json!({"governance_mode": "enforcing"}),
        json!({"labels": {"desk": "7"}}),
        json!({"system_prompt": "Be kind."}),
        json!({"system_prompt": null}),
        json!({"labels": {}}),
    ];
    let mut expected = agent.made.clone();
    for change in changes {
        let changed = alice.patch(&agent.path(""), &change).await.expect(200);
        for (member, value) in change.as_object().unwrap() {
            expected[member] = value.clone();
        }
        assert!(changed["updated_at"].as_str() >= expected["updated_at"].as_str());
        expected["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expected, "{change}");
        assert_eq!(alice.agent(&agent).await, expected);
    }
    assert_eq!(alice.patch(&agent.path(""), &json!({})).await.expect(200), expected, "nothing named, nothing changed");
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_pointed_at_and_nothing_of_it_is_done() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let (long, large) = ("x".repeat(201), "x".repeat(64 * 1024 + 1));
    let wrong: [(Value, &[&str]); 13] = [
        (json!({"agent_nam": "x"}), &["/agent_nam"]),
        (json!({"policies": []}), &["/policies"]),
        (json!({"state": "running"}), &["/state"]),
        (json!({"agent_name": null}), &["/agent_name"]),
        (json!({"governance_mode": null}), &["/governance_mode"]),
        (json!({"labels": null}), &["/labels"]),
        (json!({"agent_name": ""}), &["/agent_name"]),
        (json!({"agent_name": long, "model": long, "labels": {"a": long}}), &["/agent_name", "/model"]),
        (json!({"system_prompt": large, "agent_name": "fine"}), &["/system_prompt"]),
        (json!({"labels": {"a/b": "x".repeat(257)}}), &["/labels/a~1b"]),
        (json!({"labels": {"a": 7}}), &["/labels/a"]),
        (json!({"model_provider": "nobody"}), &["/model_provider"]),
        (json!({"governance_mode": "lax"}), &["/governance_mode"]),
    ];
    for (change, pointers) in wrong {
        alice.patch(&agent.path(""), &change).await.points_at(400, "invalid_request", pointers);
    }
    assert_eq!(alice.agent(&agent).await, agent.made);
    let unknown = "/v1/agents/ocs_01hzzzzzzzzzzzzzzzzzzzzzzz";
    alice.patch(unknown, &json!({"agent_name": "x"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_change_to_a_mode_that_the_installation_forbids_is_refused() {
    let (_server, _upstream, alice) = gavel_with("[governance]\nminimum_mode = \"enforcing\"\n").await;
    let agent = alice.create_agent(json!({})).await;
    let lax = json!({"governance_mode": "transparent", "agent_name": "Lax"});
    alice.patch(&agent.path(""), &lax).await.refused(403, "mode_forbidden");
    assert_eq!(alice.agent(&agent).await, agent.made);
}

#[tokio::test]
async fn a_change_holds_from_the_next_turn_on() {
    let (_server, upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"system_prompt": "Be brief.", "model": "m-1"})).await;
    let (slow, pace) = Script::says_at_a_pace(["My card is 4111 1111 ", "1111 1111."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Your card?").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;
    let change = json!({"governance_mode": "enforcing", "system_prompt": "Be kind.", "model": "m-2"});
    alice.patch(&agent.path(""), &change).await.expect(200);
    pace.let_all_go();
    let old = chat.rest_of_turn(&id, begun).await;
    assert_eq!(
        (old.ended("stop").text.as_str(), &old.output["mode"]),
        ("My card is 4111 1111 1111 1111.", &json!("transparent"))
    );

    upstream.will_say(["My card is 4111 1111 1111 1111."]);
    let new = chat.say("And now?").await;
    assert_eq!(
        (new.ended("stop").text.as_str(), &new.output["mode"]),
        ("My card is [redacted:card].", &json!("enforcing"))
    );
    let asked = upstream.received();
    assert_eq!(asked.iter().map(|request| request.body["model"].clone()).collect::<Vec<_>>(), ["m-1", "m-2"]);
    assert_eq!(upstream.last_conversation()[0], "system: Be kind.");
}
