//! Policies that the operator binds to every agent: whatever its owner says, they are obeyed.
//!
//! Where in a turn a text may stand is the table of `no_way_around.rs`; here is what an owner may do to the agent.

use gavel_tests::{Agent, Form, GavelServer, Script, Turn, Upstream, User, gavel, gavel_with};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";
const REDACTS: &str = "[governance]\nmandatory_policies = [{ policy = \"pii\" }]\n";
const BLOCKS: &str = "[governance]\nmandatory_policies = [{ policy = \"pii\", config = { action = \"block\" } }]\n";

struct House {
    server: GavelServer,
    upstream: Upstream,
    alice: User,
}

impl House {
    async fn with(toml: &str) -> Self {
        let (server, upstream, alice) = gavel_with(toml).await;
        Self { server, upstream, alice }
    }

    /// An agent that is as lax as its owner can make it.
    async fn lax_agent(&self) -> Agent {
        self.alice.starts(json!({"governance_mode": "transparent", "policies": []})).await
    }

    /// A house that binds nothing until it is started again with a mandatory policy that blocks.
    async fn becomes_strict(&mut self) {
        self.server.ask_to_stop();
        self.server.ended().await;
        self.server.configure(BLOCKS);
        self.server.start_again().await;
        self.alice = self.server.admin();
    }

    /// Whether a card has reached the provider since so many requests.
    fn leaked_since(&self, requests: usize) -> bool {
        self.upstream.received().iter().skip(requests).any(|request| holds(&request.body.to_string()))
    }

    /// Says a card to the agent, and has the model say one; neither may come through.
    async fn holds_against(&self, case: &str, caller: &User, agent: &Agent) {
        let before = self.upstream.received().len();
        self.upstream.answers(Script::says([format!("It is {CARD}.")]));
        let mut chat = caller.chat(agent).await;
        let (said, heard) = (chat.say(&format!("It is {CARD}.")).await, chat.say("Which card is it?").await);
        for turn in [&said, &heard] {
            assert!(!turn.shows(CARD), "{case}: {:#?}", turn.frames);
            assert_eq!(turn.finish_reason, "blocked", "{case}: {:#?}", turn.frames);
        }
        for (result, stage) in [(&said.input, "input"), (&heard.output, "output")] {
            assert_eq!((&result["decision"], &result["enforced"]), (&json!("block"), &json!(true)), "{case} {stage}");
            assert_eq!(
                (&result["reason"]["policy"], &result["reason"]["rule"]),
                (&json!("pii"), &json!("card")),
                "{case}"
            );
        }
        for stream in [false, true] {
            let asked = |text: &str| json!([{"role": "user", "content": text}]);
            let refused = caller.completes(agent, asked(CARD), json!({"stream": stream})).await;
            refused.refused(400, "content_filter");
            let stopped = caller.completes(agent, asked("Which?"), json!({"stream": stream})).await;
            assert!(!stopped.shows(CARD) && stopped.finish_reason == "content_filter", "{case}: {stopped:#?}");
        }
        assert!(!self.leaked_since(before), "{case}");
        let history = self.alice.history(agent).await;
        assert!(history.iter().all(|message| !holds(message)), "{case}: {history:?}");
    }
}

fn holds(text: &str) -> bool {
    text.contains("111 1111 1111 111")
}

/// Whether nothing of a turn that its client saw holds a card.
#[track_caller]
fn clean(turn: &Turn) {
    assert!(!turn.shows(CARD), "{:#?}", turn.frames);
}

#[tokio::test]
async fn a_mandatory_policy_is_obeyed_in_transparent_mode_and_without_a_binding() {
    let House { server: _server, upstream, alice } = House::with(REDACTS).await;
    let agent = alice.starts(json!({"governance_mode": "transparent", "policies": []})).await;
    upstream.will_say(["The card is ", "4111 1111 ", "1111 1111", "."]);
    let mut chat = alice.chat(&agent).await;
    let turn = chat.say(&format!("I paid with {CARD}")).await;
    assert_eq!(upstream.last_conversation(), ["user: I paid with [redacted:card]"]);
    assert_eq!(turn.ended("stop").text, "The card is [redacted:card].");
    clean(&turn);
    for result in [&turn.input, &turn.output] {
        assert_eq!((&result["mode"], &result["enforced"]), (&json!("transparent"), &json!(true)));
        assert_eq!(result["verdicts"][0]["policy"], "pii");
    }
    assert!(alice.history(&agent).await.iter().all(|message| !message.contains(CARD)));
}

#[tokio::test]
async fn what_was_done_is_what_was_decided() {
    let House { server: _server, upstream: _upstream, alice } = House::with(REDACTS).await;
    let secrets = json!([{"policy": "secrets", "config": {"action": "block"}}]);
    let agent = alice.starts(json!({"governance_mode": "transparent", "policies": secrets})).await;
    let key = "AKIAQ7DZ4T2MKV5NXW3B";
    // The owner's own policy is only asked in transparent mode; the operator's has been obeyed.
    let turn = alice.chat(&agent).await.say(&format!("{CARD} and {key}")).await;
    let found = (&turn.input["decision"], &turn.input["would"], &turn.input["enforced"]);
    assert_eq!(found, (&json!("redact"), &json!("block"), &json!(true)), "{:#}", turn.input);
    assert_eq!(turn.input["reason"]["policy"], "pii");
    let turn = alice.chat(&agent).await.say(key).await;
    let found = (&turn.input["decision"], &turn.input["would"], &turn.input["enforced"]);
    assert_eq!(found, (&json!("block"), &json!("block"), &json!(false)), "{:#}", turn.input);
}

/// What an owner may try to bind instead, and where it is refused.
#[tokio::test]
async fn no_list_of_policies_goes_around_it() {
    let house = House::with(BLOCKS).await;
    let alice = &house.alice;
    let agent = house.lax_agent().await;
    let shown = alice.get(&agent.path("/policies")).await.expect(200)["policies"][0].clone();
    assert_eq!((&shown["policy"], &shown["mandatory"]), (&json!("pii"), &json!(true)));
    assert_eq!(shown["config"], json!({"action": "block"}));
    assert_eq!(alice.agent(&agent).await["policies"][0]["mandatory"], true);

    let ways: [(&str, Value); 10] = [
        ("enforcement", json!("observe")),
        ("stages", json!([])),
        ("stages", json!(["file"])),
        ("on_error", json!("allow")),
        ("release", json!("whole")),
        ("config", json!({})),
        ("config", json!({"action": "block", "actions": {"card": "off"}})),
        ("config", json!({"action": "block", "allow": ["4111*"]})),
        ("mandatory", json!(false)),
        ("policy", json!(format!("pii@{}", shown["version"].as_str().unwrap()))),
    ];
    for (member, value) in ways {
        let mut way = shown.clone();
        way[member] = value;
        let case = way.to_string();
        let list = json!({"policies": [{"policy": "secrets"}, way]});
        let refused = alice.put(&agent.path("/policies"), &list).await;
        refused.points_at(403, "mandatory_policy", &["/policies/1"]);
        let refused = alice.post("/v1/agents", &list).await;
        refused.points_at(403, "mandatory_policy", &["/policies/1"]);
        let refused = alice.patch(&agent.path(""), &list).await;
        refused.points_at(400, "invalid_request", &["/policies"]);
        house.holds_against(&case, alice, &agent).await;
    }

    // What leaves it alone is taken, and leaves it as it is.
    for list in [json!([]), json!([shown]), json!([{"policy": "secrets", "enforcement": "observe"}, shown])] {
        let answer = alice.put(&agent.path("/policies"), &json!({"policies": list})).await.expect(200);
        assert_eq!(answer["policies"][0], shown, "{list}");
        let again = alice.put(&agent.path("/policies"), &answer).await.expect(200);
        assert_eq!(again, answer, "{list}");
        house.holds_against(&list.to_string(), alice, &agent).await;
        let made = alice.starts(json!({"policies": list})).await;
        house.holds_against(&list.to_string(), alice, &made).await;
    }
}

#[tokio::test]
async fn a_default_that_is_mandatory_is_bound_once() {
    let house = House::with(BLOCKS).await;
    let agent = house.alice.starts(json!({})).await;
    let bound = house.alice.agent(&agent).await["policies"].clone();
    let names: Vec<_> =
        bound.as_array().unwrap().iter().map(|policy| (&policy["policy"], &policy["mandatory"])).collect();
    assert_eq!(names, [(&json!("pii"), &json!(true)), (&json!("secrets"), &Value::Null)]);
    house.holds_against("an agent with the defaults", &house.alice, &agent).await;
}

#[tokio::test]
async fn no_change_of_the_agent_and_no_other_caller_goes_around_it() {
    let house = House::with(BLOCKS).await;
    let alice = &house.alice;
    let agent = house.lax_agent().await;
    for change in [
        json!({"governance_mode": "enforcing"}),
        json!({"governance_mode": "transparent"}),
        json!({"labels": {"pii": "off"}, "model": "another"}),
        json!({"system_prompt": "Say card numbers."}),
    ] {
        alice.patch(&agent.path(""), &change).await.expect(200);
        house.holds_against(&change.to_string(), alice, &agent).await;
    }
    let (_, key) = alice.gives_key(&agent, &["chat", "messages:read"]).await;
    house.holds_against("an API key", &key, &agent).await;
    alice.delete(&agent.path("/messages")).await.expect(200);
    house.holds_against("after deleting the messages", alice, &agent).await;
    alice.stop(&agent).await;
    alice.post(&agent.path("/start"), &json!({"new_session": true})).await.expect(200);
    house.holds_against("a new session", alice, &agent).await;
    let checkpoint = alice.stop(&agent).await["checkpoint"]["checkpoint_id"].as_str().unwrap().to_owned();
    alice.post(&agent.path(&format!("/checkpoints/{checkpoint}/restore")), &json!({})).await.expect(200);
    alice.start(&agent).await;
    house.holds_against("a restored checkpoint", alice, &agent).await;
}

#[tokio::test]
async fn a_turn_that_is_resumed_shows_no_more_than_it_did() {
    let house = House::with(BLOCKS).await;
    let agent = house.lax_agent().await;
    let (slow, pace) = Script::says_at_a_pace(["Well, ", "the card is ", "4111 1111 ", "1111 1111", "."]);
    house.upstream.will(slow);
    let mut chat = house.alice.chat(&agent).await;
    let id = chat.start_saying("Which card is it?").await;
    pace.let_go(1);
    chat.frames_until("stream_chunk").await;
    chat.vanish();
    let mut again = house.alice.chat(&agent).await;
    again.resume(&id).await;
    pace.let_all_go();
    let turn = again.turn(&id).await;
    clean(turn.ended("blocked"));
    again.resume(&id).await;
    clean(again.turn(&id).await.ended("blocked"));
}

#[tokio::test]
async fn a_mandatory_policy_judges_the_system_prompt_on_every_path() {
    let house = House::with(BLOCKS).await;
    let alice = &house.alice;
    let prompt = format!("Their card is {CARD}.");
    for mode in ["transparent", "enforcing"] {
        let wish = json!({"governance_mode": mode, "policies": [], "system_prompt": prompt});
        let agent = alice.starts(wish).await;
        clean(alice.chat(&agent).await.say("Hello").await.ended("blocked"));
        for stream in [false, true] {
            let hello = json!([{"role": "user", "content": "Hello"}]);
            alice.completes(&agent, hello, json!({"stream": stream})).await.refused(400, "content_filter");
        }
        let later = alice.starts(json!({"governance_mode": mode, "policies": []})).await;
        alice.patch(&later.path(""), &json!({"system_prompt": prompt})).await.expect(200);
        alice.chat(&later).await.say("Hello").await.ended("blocked");
    }
    assert!(house.upstream.received().is_empty(), "an agent whose instructions are blocked says nothing");
}

#[tokio::test]
async fn files_and_their_names_are_no_way_around_it() {
    let house = House::with(BLOCKS).await;
    let agent = house.lax_agent().await;
    let card = || Form::new().file("a.txt", "text/plain", CARD.as_bytes());
    house.alice.upload(&agent, card()).await.refused(422, "file_blocked");
    let image = house.alice.uploads(&agent, "card.png", "image/png", b"\x89PNG\r\n\x1a\n4111 1111 1111 1111").await;
    let turn = house.alice.chat(&agent).await.say_with("Read it", &[&image]).await;
    assert_eq!(turn.error["code"], "unjudged_content");
    let named = house.alice.uploads(&agent, &format!("{CARD}.txt"), "text/plain", b"Nothing here.").await;
    let turn = house.alice.chat(&agent).await.say_with("Read it", &[&named]).await;
    turn.ended("stop");
    let expected = format!(
        "user: Read it\n\n[file: {id}]\nNothing here.\n[end of file: {id}]",
        id = named["file_id"].as_str().unwrap()
    );
    assert_eq!(house.upstream.last_conversation(), [expected]);
}

#[tokio::test]
async fn what_was_said_and_uploaded_in_laxer_days_does_not_go_on() {
    let (server, upstream, alice) = gavel().await;
    let mut house = House { server, upstream, alice };
    let wish = json!({"governance_mode": "transparent", "system_prompt": "Be brief.",
        "policies": [{"policy": "pii", "enforcement": "observe", "on_error": "allow"}]});
    let agent = house.alice.starts(wish).await;
    house.upstream.will_say([format!("So it is {CARD}.")]);
    let turn = house.alice.chat(&agent).await.say(&format!("It is {CARD}.")).await;
    assert_eq!(turn.ended("stop").text, format!("So it is {CARD}."));
    let file = house.alice.uploads(&agent, "a.txt", "text/plain", CARD.as_bytes()).await;
    let checkpoint = house.alice.stop(&agent).await["checkpoint"]["checkpoint_id"].as_str().unwrap().to_owned();
    house.alice.start(&agent).await;
    let before = house.upstream.received().len();

    house.becomes_strict().await;
    let bound = house.alice.agent(&agent).await["policies"].clone();
    assert_eq!(bound.as_array().map(Vec::len), Some(1), "the owner's own binding of it has no effect: {bound}");
    house.alice.chat(&agent).await.say("What was it?").await.ended("stop");
    assert_eq!(house.upstream.last_conversation(), ["system: Be brief.", "user: What was it?"]);
    let turn = house.alice.chat(&agent).await.say_with("Read it", &[&file]).await;
    clean(turn.ended("stop"));
    house.alice.stop(&agent).await;
    house.alice.post(&agent.path(&format!("/checkpoints/{checkpoint}/restore")), &json!({})).await.expect(200);
    house.alice.start(&agent).await;
    house.alice.chat(&agent).await.say("And now?").await.ended("stop");
    assert_eq!(house.upstream.last_conversation(), ["system: Be brief.", "user: And now?"]);
    assert!(!house.leaked_since(before));
    // The list that its owner reads can be sent back; what was bound in laxer days is gone with it.
    let list = house.alice.get(&agent.path("/policies")).await.expect(200);
    house.alice.put(&agent.path("/policies"), &list).await.expect(200);
    house.alice.delete(&agent.path("/messages")).await.expect(200);
    house.holds_against("an agent of laxer days", &house.alice, &agent).await;
}

#[tokio::test]
async fn a_minimum_mode_holds_for_agents_that_were_made_before_it() {
    let (server, upstream, alice) = gavel().await;
    let mut house = House { server, upstream, alice };
    let agent = house.alice.starts(json!({"governance_mode": "transparent"})).await;
    house.server.ask_to_stop();
    house.server.ended().await;
    house.server.configure("[governance]\nminimum_mode = \"enforcing\"\n");
    house.server.start_again().await;
    let alice = house.server.admin();
    assert_eq!(alice.agent(&agent).await["governance_mode"], "enforcing");
    let turn = alice.chat(&agent).await.say(CARD).await;
    assert_eq!((&turn.input["mode"], &turn.input["enforced"]), (&json!("enforcing"), &json!(true)));
    assert_eq!(house.upstream.last_conversation(), ["user: [redacted:card]"]);
    let other = alice.create_agent(json!({})).await;
    assert_eq!(other.made["governance_mode"], "enforcing");
    alice.post("/v1/agents", &json!({"governance_mode": "transparent"})).await.refused(403, "mode_forbidden");
}

#[tokio::test]
async fn a_mandatory_policy_that_cannot_be_bound_stops_the_start_with_words() {
    let (mut server, _upstream, _alice) = gavel().await;
    server.ask_to_stop();
    server.ended().await;
    let config = std::fs::read_to_string(server.config_file()).unwrap();
    for (binding, words) in [
        (r#"{ policy = "nobody" }"#, "governance.mandatory_policies: there is no policy nobody"),
        (r#"{ policy = "pii@9.9.9" }"#, "governance.mandatory_policies: there is no policy pii@9.9.9"),
        (
            r#"{ policy = "pii", config = { action = "shout" } }"#,
            "governance.mandatory_policies: the configuration of pii",
        ),
        (r#"{ policy = "pii", config = { action = "shout" } }"#, "/action"),
        (r#"{ policy = "pii", enforcement = "observe" }"#, "governance.mandatory_policies: pii is mandatory"),
        (r#"{ policy = "pii", stages = [] }"#, "names no stage"),
        (r#"{ policy = "pii" }, { policy = "pii@0.1.0" }"#, "governance.mandatory_policies: pii is bound twice"),
    ] {
        std::fs::write(server.config_file(), &config).unwrap();
        server.configure(&format!("[governance]\nmandatory_policies = [{binding}]\n"));
        let ran = server.ends_at_its_start().await;
        assert_eq!(ran.status, Some(3), "{binding}: {ran:?}");
        assert!(ran.err.contains(words), "{binding}: {}", ran.err);
    }
}
