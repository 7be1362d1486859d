//! The policies of an agent: listed with what they are bound to, replaced by its owner, and taken up by the next turn.

use gavel_tests::{Agent, Script, User, gavel};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

async fn policies(alice: &User, agent: &Agent) -> Vec<Value> {
    alice.get(&agent.path("/policies")).await.expect(200)["policies"].as_array().unwrap().clone()
}

/// A list of policies without what they are bound to, as an agent shows it.
fn plain(mut policies: Vec<Value>) -> Value {
    for policy in &mut policies {
        for shown in ["version", "digest", "error"] {
            policy.as_object_mut().unwrap().remove(shown);
        }
    }
    Value::Array(policies)
}

#[tokio::test]
async fn a_list_is_read_edited_and_sent_back() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let mut list = policies(&alice, &agent).await;
    assert_eq!(plain(list.clone()), agent.made["policies"]);
    let members: Vec<_> = list[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["config", "digest", "enforcement", "error", "on_error", "policy", "release", "version"];
    assert_eq!(members, expected);
    assert_eq!((&list[0]["policy"], &list[1]["policy"]), (&json!("pii"), &json!("secrets")));
    for policy in &list {
        assert!(policy["version"].is_string() && policy["digest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(policy["error"], Value::Null);
    }

    list[0]["config"] = json!({"action": "block"});
    list[1]["enforcement"] = json!("observe");
    list[1]["stages"] = json!(["output"]);
    let answer = alice.put(&agent.path("/policies"), &json!({"policies": list})).await.expect(200);
    assert_eq!(answer["policies"], json!(list));
    assert_eq!(policies(&alice, &agent).await, list);
    assert_eq!(alice.agent(&agent).await["policies"], plain(list));

    let none = alice.put(&agent.path("/policies"), &json!({"policies": []})).await.expect(200);
    assert_eq!(none, json!({"policies": []}));
    assert_eq!(alice.agent(&agent).await["policies"], json!([]));
}

#[tokio::test]
async fn a_policy_is_pinned_by_its_version_or_its_bytes() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({"policies": [{"policy": "pii"}]})).await;
    let bound = policies(&alice, &agent).await.remove(0);
    let (version, digest) = (bound["version"].as_str().unwrap(), bound["digest"].as_str().unwrap());
    for pin in [format!("pii@{version}"), format!("pii@{digest}")] {
        let wish = json!({"policies": [{"policy": pin}]});
        let answer = alice.put(&agent.path("/policies"), &wish).await.expect(200);
        let shown = &answer["policies"][0];
        assert_eq!(
            (&shown["policy"], &shown["version"], &shown["digest"]),
            (&json!(pin), &json!(version), &json!(digest))
        );
    }
    for other in ["pii@9.9.9", "pii@sha256:00", "pii@", "pii@1@2", "secrets@sha256:00"] {
        let wish = json!({"policies": [{"policy": other}]});
        let answer = alice.put(&agent.path("/policies"), &wish).await;
        answer.points_at(400, "invalid_request", &["/policies/0/policy"]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_pointed_at_and_nothing_of_it_is_bound() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.create_agent(json!({})).await;
    let many: Vec<_> = (0..17).map(|n| json!({"policy": format!("p{n}")})).collect();
    let pii = |member: &str, value: Value| json!([{"policy": "secrets"}, {"policy": "pii", member: value}]);
    let malformed: [(Value, &[&str]); 14] = [
        (json!({}), &[""]),
        (json!({"policies": null}), &["/policies"]),
        (json!({"policies": "pii"}), &["/policies"]),
        (json!({"policies": ["pii"]}), &["/policies/0"]),
        (json!({"policies": [["pii"]]}), &["/policies/0"]),
        (json!({"policies": [], "mode": "strict"}), &["/mode"]),
        (json!({"policies": many}), &["/policies"]),
        (json!({"policies": [{"policy": "pii"}, {"policy": "pii@1.0.0"}]}), &["/policies/1/policy"]),
        (json!({"policies": [{"policy": "pii"}, {"policy": "nothing"}]}), &["/policies/1/policy"]),
        (json!({"policies": pii("enforcement", json!("maybe"))}), &["/policies/1/enforcement"]),
        (json!({"policies": pii("stages", json!(["inptu"]))}), &["/policies/1/stages/0"]),
        (json!({"policies": pii("on_error", json!("ignore"))}), &["/policies/1/on_error"]),
        (json!({"policies": pii("release", json!("never"))}), &["/policies/1/release"]),
        (json!({"policies": pii("confg", json!({}))}), &["/policies/1/confg"]),
    ];
    for (list, pointers) in malformed {
        alice.put(&agent.path("/policies"), &list).await.points_at(400, "invalid_request", pointers);
    }
    let refused: [(Value, &[&str]); 2] = [
        (pii("config", json!({"action": "shout"})), &["/policies/1/config/action"]),
        (pii("config", json!({"actions": {"card": 7, "iban": "off"}})), &["/policies/1/config/actions/card"]),
    ];
    for (list, pointers) in refused {
        let answer = alice.put(&agent.path("/policies"), &json!({"policies": list})).await;
        answer.points_at(422, "invalid_configuration", pointers);
    }
    let mandatory = json!({"policies": pii("mandatory", json!(true))});
    alice.put(&agent.path("/policies"), &mandatory).await.points_at(
        403,
        "mandatory_policy",
        &["/policies/1/mandatory"],
    );
    assert_eq!(alice.agent(&agent).await, agent.made);
    let unknown = "/v1/agents/ocs_01hzzzzzzzzzzzzzzzzzzzzzzz/policies";
    alice.put(unknown, &json!({"policies": []})).await.refused(404, "not_found");
    alice.get(unknown).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_change_of_policies_holds_from_the_next_turn_on_and_a_turn_under_way_keeps_its_own() {
    let (_server, upstream, alice) = gavel().await;
    let redacts = json!([{"policy": "pii"}]);
    let agent = alice.starts(json!({"governance_mode": "enforcing", "policies": redacts})).await;
    let (slow, pace) = Script::says_at_a_pace(["Well, the card is ", "4111 1111 ", "1111 1111, and ", "that is it."]);
    upstream.will(slow);
    let mut chat = alice.chat(&agent).await;
    let id = chat.start_saying("Your card?").await;
    pace.let_go(1);
    let begun = chat.frames_until("stream_chunk").await;
    let blocks = json!({"policies": [{"policy": "secrets"}, {"policy": "pii", "config": {"action": "block"}}]});
    alice.put(&agent.path("/policies"), &blocks).await.expect(200);

    // Another socket's turn is the next one: it has the new set while the old turn goes on with its own.
    let blocked = alice.chat(&agent).await.say(&format!("Mine is {CARD}")).await;
    blocked.ended("blocked");
    pace.let_all_go();
    let old = chat.rest_of_turn(&id, begun).await;
    assert_eq!(old.ended("stop").text, "Well, the card is [redacted:card], and that is it.");
    let asked = |result: &Value| -> Vec<Value> {
        result["verdicts"].as_array().unwrap().iter().map(|verdict| verdict["policy"].clone()).collect()
    };
    assert_eq!((asked(&old.input), asked(&old.output)), (vec![json!("pii")], vec![json!("pii")]));
    assert_eq!(asked(&blocked.input), [json!("secrets"), json!("pii")]);

    upstream.will_say([format!("It is {CARD}.")]);
    let new = chat.say("And now?").await;
    assert_eq!(
        (new.ended("blocked").text.as_str(), asked(&new.output)),
        ("It is ", vec![json!("secrets"), json!("pii")])
    );
}

#[tokio::test]
async fn without_a_policy_a_message_still_has_its_leaf() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"governance_mode": "enforcing"})).await;
    alice.put(&agent.path("/policies"), &json!({"policies": []})).await.expect(200);
    let turn = alice.chat(&agent).await.say(CARD).await;
    for result in [&turn.ended("stop").input, &turn.output] {
        assert_eq!((&result["decision"], &result["verdicts"]), (&json!("allow"), &json!([])));
        alice.proof(&agent, result["leaf_hash"].as_str().unwrap()).await.expect(200);
    }
}

#[tokio::test]
async fn a_policy_is_told_who_asks_and_what_the_agent_has_used() {
    let (_server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"labels": {"team": "billing", "desk": "7"}})).await;
    let (_, key) = alice.gives_key(&agent, &["chat"]).await;
    let other = alice.starts(json!({})).await;
    let mut told = Vec::new();
    for (caller, agent) in [(&alice, &agent), (&key, &agent), (&alice, &agent), (&alice, &other)] {
        let turn = caller.chat(agent).await.say("Hello").await;
        told.push(facts(&alice, agent, turn.input["leaf_hash"].as_str().unwrap()).await);
    }
    let names: Vec<_> = told[0].iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "caller.id",
        "caller.kind",
        "label.desk",
        "label.team",
        "session.turns",
        "usage.input_tokens",
        "usage.messages",
        "usage.output_tokens",
    ];
    assert_eq!(names, expected);
    let column = |name: &str| -> Vec<String> {
        let of = |facts: &Vec<(String, String)>| facts.iter().find(|(known, _)| known == name).cloned();
        told.iter().filter_map(|facts| of(facts).map(|(_, value)| value)).collect()
    };
    assert_eq!(column("caller.kind"), ["user", "key", "user", "user"]);
    assert_eq!(column("label.team"), ["billing", "billing", "billing"]);
    for (name, values) in [
        ("session.turns", ["0", "1", "2", "0"]),
        ("usage.messages", ["0", "1", "2", "0"]),
        ("usage.input_tokens", ["0", "11", "22", "0"]),
        ("usage.output_tokens", ["0", "7", "14", "0"]),
    ] {
        assert_eq!(column(name), values, "{name}");
    }
    let ids = column("caller.id");
    assert!(ids[0] == ids[2] && ids[0] != ids[1] && ids[0] != ids[3], "a pseudonym says nothing elsewhere: {ids:?}");
    assert!(!ids.iter().any(|id| id.contains("admin")));
}

/// The facts in the subject of a result, opened by the agent's owner.
async fn facts(owner: &User, agent: &Agent, leaf: &str) -> Vec<(String, String)> {
    let proof = owner.get(&agent.path(&format!("/proofs/{leaf}?opening=subject"))).await.expect(200);
    let subject: Value = serde_json::from_str(proof["opening"]["subject"]["text"].as_str().unwrap()).unwrap();
    serde_json::from_value(subject["facts"].clone()).unwrap()
}
