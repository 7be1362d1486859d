//! No path goes around the policies: one table of every path, place and mode.
//!
//! A card number stands somewhere in a turn. In enforcing mode it must reach neither the model's provider nor the client,
//! nor where the operator binds a policy to every agent, whatever the agent's owner says; in transparent mode it passes and
//! is reported. Either way a verdict on it is in the log.

use gavel_tests::{Agent, GavelServer, Script, Upstream, User, gavel, gavel_with};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";
/// The same with escapes that a JSON reader takes away.
const ESCAPED: &str = r"\u0034111 1111 1111 111\u0031";
/// What is left of it when it is written in any of the ways of the table.
const NEEDLES: [&str; 3] = ["111 1111 1111 111", "411111111111111", r"\u0034111"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Path {
    Socket,
    Whole,
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Transparent,
    Redacts,
    Blocks,
    /// Transparent and without a policy of its own, where the operator's blocks.
    Mandatory,
}

const MANDATORY: &str = "[governance]\nmandatory_policies = [{ policy = \"pii\", config = { action = \"block\" } }]\n";

impl Mode {
    fn blocks(self) -> bool {
        matches!(self, Self::Blocks | Self::Mandatory)
    }
}

/// Where the card number stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    // What goes to the provider.
    Input,
    InputInParts,
    AgentPrompt,
    SystemMessage,
    DeveloperMessage,
    EarlierUser,
    EarlierAssistant,
    EarlierRefusal,
    EarlierCall,
    EarlierCallEscaped,
    EarlierResult,
    ToolResult,
    ToolDescription,
    ToolSchemaEscaped,
    AnswerSchema,
    StopText,
    UserOption,
    Seed,
    CallId,
    // What comes from it.
    Output,
    OutputInPieces,
    Structured,
    StructuredEscaped,
    Reasoning,
    Call,
    CallEscaped,
    CallNested,
    CallKey,
    CallNumber,
}

use Place::*;

const TO_PROVIDER: [Place; 19] = [
    Input,
    InputInParts,
    AgentPrompt,
    SystemMessage,
    DeveloperMessage,
    EarlierUser,
    EarlierAssistant,
    EarlierRefusal,
    EarlierCall,
    EarlierCallEscaped,
    EarlierResult,
    ToolResult,
    ToolDescription,
    ToolSchemaEscaped,
    AnswerSchema,
    StopText,
    UserOption,
    Seed,
    CallId,
];
const TO_CLIENT: [Place; 10] = [
    Output,
    OutputInPieces,
    Structured,
    StructuredEscaped,
    Reasoning,
    Call,
    CallEscaped,
    CallNested,
    CallKey,
    CallNumber,
];
/// What a WebSocket has of these.
const ON_SOCKETS: [Place; 5] = [Input, AgentPrompt, Output, OutputInPieces, Reasoning];

impl Place {
    fn stage(self) -> &'static str {
        match self {
            EarlierAssistant | EarlierRefusal | Output | OutputInPieces | Structured | StructuredEscaped => "output",
            EarlierCall | EarlierCallEscaped | Call | CallEscaped | CallNested | CallKey | CallNumber => "tool_call",
            EarlierResult | ToolResult => "tool_result",
            Reasoning => "reasoning",
            _ => "input",
        }
    }

    /// Whether edits leave nothing that could go on.
    fn breaks_when_redacted(self) -> bool {
        matches!(self, CallNumber | Seed)
    }

    fn script(self) -> Script {
        let calls = |arguments: &str| Script::calls([("pay", arguments)]);
        match self {
            Output => Script::says([format!("It is {CARD}.")]),
            OutputInPieces => Script::says(["It is 41", "11 11", "11 1111 1", "111."]),
            Structured => Script::says([r#"{"card":"#, r#""4111 1111 "#, r#"1111 1111"}"#]),
            StructuredEscaped => Script::says([r#"{"card":"\u00"#, r#"34111 1111 1111 11"#, r#"1\u0031"}"#]),
            Reasoning => Script::thinks(["It is 4111 1111", " 1111 1111"], ["I know."]),
            Call => calls(&format!(r#"{{"card":"{CARD}"}}"#)),
            CallEscaped => calls(&format!(r#"{{"card":"{ESCAPED}"}}"#)),
            CallNested => calls(&format!(r#"{{"a":[{{"b":{{"c":"card {CARD}"}}}}]}}"#)),
            CallKey => calls(&format!(r#"{{"{CARD}":true}}"#)),
            CallNumber => calls(r#"{"card":4111111111111111}"#),
            _ => Script::says(["All right."]),
        }
    }

    fn messages(self) -> Value {
        let user = |text: &str| json!({"role": "user", "content": text});
        let call = |id: &str, arguments: &str| {
            let function = json!({"name": "pay", "arguments": arguments});
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": function}]})
        };
        let result = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
        let said = match self {
            Input => vec![user(&format!("Is it {CARD}?"))],
            InputInParts => {
                let part = |text: &str| json!({"type": "text", "text": text});
                vec![json!({"role": "user", "content": [part("Is it 4111 1111 "), part("1111 1111?")]})]
            }
            SystemMessage => vec![json!({"role": "system", "content": CARD}), user("Go on")],
            DeveloperMessage => vec![json!({"role": "developer", "content": CARD}), user("Go on")],
            EarlierUser => vec![user(CARD), json!({"role": "assistant", "content": "Hm."}), user("Go on")],
            EarlierAssistant => vec![user("Hi"), json!({"role": "assistant", "content": CARD}), user("Go on")],
            EarlierRefusal => vec![user("Hi"), json!({"role": "assistant", "refusal": CARD}), user("Go on")],
            EarlierCall => vec![call("c", &format!(r#"{{"card":"{CARD}"}}"#)), result("c", "Paid."), user("Go on")],
            EarlierCallEscaped => vec![call("c", &format!(r#"{{"card":"{ESCAPED}"}}"#)), result("c", "Paid.")],
            EarlierResult => vec![call("c", "{}"), result("c", CARD), user("Go on")],
            ToolResult => vec![user("Pay"), call("c", "{}"), result("c", &format!("Paid with {CARD}."))],
            CallId => vec![call("4111111111111111", "{}"), result("4111111111111111", "Paid."), user("Go on")],
            _ => vec![user("Go on")],
        };
        Value::Array(said)
    }

    fn wish(self) -> Value {
        let tool = |description: &str, parameters: Value| {
            let function = json!({"name": "pay", "description": description, "parameters": parameters});
            json!([{"type": "function", "function": function}])
        };
        let plain = json!({"type": "object"});
        let schema = |schema: Value| json!({"type": "json_schema", "json_schema": {"name": "card", "schema": schema}});
        match self {
            ToolDescription => json!({"tools": tool(&format!("Pays with {CARD}."), plain)}),
            ToolSchemaEscaped => {
                let parameters = serde_json::from_str(&format!(r#"{{"type":"object","default":"{ESCAPED}"}}"#));
                json!({"tools": tool("Pays.", parameters.unwrap())})
            }
            AnswerSchema => json!({"response_format": schema(json!({"type": "object", "title": CARD}))}),
            Structured => json!({"response_format": schema(plain)}),
            StructuredEscaped => json!({"response_format": {"type": "json_object"}}),
            StopText => json!({"stop": [CARD]}),
            UserOption => json!({"user": CARD}),
            Seed => json!({"seed": 4_111_111_111_111_111_u64}),
            _ => json!({"tools": tool("Pays.", plain)}),
        }
    }
}

/// What a turn showed, whatever path it took.
struct Seen {
    shown: String,
    results: Vec<Value>,
    /// Whether nothing came of it.
    stopped: bool,
}

struct Table {
    _server: GavelServer,
    upstream: Upstream,
    alice: User,
}

impl Table {
    async fn agent(&self, mode: Mode, place: Place) -> Agent {
        let with = |mode: &str, action: &str| json!({"governance_mode": mode, "policies": [{"policy": "pii", "config": {"action": action}}]});
        let mut wish = match mode {
            Mode::Transparent => with("transparent", "redact"),
            Mode::Redacts => with("enforcing", "redact"),
            Mode::Blocks => with("enforcing", "block"),
            Mode::Mandatory => json!({"governance_mode": "transparent", "policies": []}),
        };
        if place == AgentPrompt {
            wish["system_prompt"] = json!(format!("The house card is {CARD}."));
        }
        self.alice.starts(wish).await
    }

    async fn turn(&self, path: Path, place: Place, agent: &Agent) -> Seen {
        self.upstream.answers(place.script());
        if path == Path::Socket {
            let content = if place == Input { format!("Is it {CARD}?") } else { "Go on".to_owned() };
            let turn = self.alice.chat(agent).await.say(&content).await;
            let results = turn.frames.iter().filter(|frame| frame["type"] == "governance_result");
            return Seen {
                shown: format!("{}{}", turn.text, turn.thinking),
                results: results.cloned().collect(),
                stopped: turn.finish_reason == "blocked",
            };
        }
        let mut wish = place.wish();
        wish["stream"] = json!(path == Path::Stream);
        let said = self.alice.completes(agent, place.messages(), wish).await;
        let calls: String = said.calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
        let refused = said.answer.status == 400 && said.error["code"] == "content_filter";
        assert!(refused || said.answer.status == 200, "{path:?} {place:?}: {}", said.answer.text());
        let everything = said.answer.text();
        let shown = format!("{}{}{calls}", said.text, said.thinking);
        // What stands in no field that the harness knows would show here.
        assert!(!holds(&everything) || holds(&shown), "{path:?} {place:?}: {everything}");
        Seen { shown, stopped: refused || said.finish_reason == "content_filter", results: said.results }
    }

    async fn check(&self, path: Path, place: Place, mode: Mode) {
        let case = format!("{path:?} {place:?} {mode:?}");
        let agent = self.agent(mode, place).await;
        let before = self.upstream.received().len();
        let seen = self.turn(path, place, &agent).await;
        let sent: String = self.upstream.received().iter().skip(before).map(|got| got.body.to_string()).collect();
        let passed = holds(&sent) || holds(&seen.shown);
        assert_eq!(passed, mode == Mode::Transparent, "{case}: {sent} {}", seen.shown);
        let stops = mode.blocks() || (mode == Mode::Redacts && place.breaks_when_redacted());
        assert_eq!(seen.stopped, stops, "{case}: {:#?}", seen.results);
        if TO_PROVIDER.contains(&place) {
            let stopped = mode.blocks() || (mode == Mode::Redacts && place == Seed);
            assert_eq!(sent.is_empty(), stopped, "{case}: who is blocked is not heard");
        }

        let found: Vec<_> = seen.results.iter().filter(|result| result["would"] != "allow").collect();
        if path == Path::Socket && place == AgentPrompt {
            // Its verdict has a leaf and no frame of its own.
            assert_eq!(seen.results[0]["seq"], 1, "{case}");
            return;
        }
        assert_eq!(found.len(), 1, "{case}: {:#?}", seen.results);
        let decision = if mode.blocks() { "block" } else { "redact" };
        assert_eq!((&found[0]["stage"], &found[0]["decision"]), (&json!(place.stage()), &json!(decision)), "{case}");
        assert_eq!(found[0]["enforced"], json!(mode != Mode::Transparent), "{case}");
        let record = self.alice.record(&agent, found[0]["leaf_hash"].as_str().unwrap()).await;
        assert_eq!((&record["stage"], &record["decision"]), (&found[0]["stage"], &found[0]["decision"]), "{case}");
    }
}

fn holds(text: &str) -> bool {
    NEEDLES.iter().any(|needle| text.contains(needle))
}

async fn table(path: Path, places: impl IntoIterator<Item = Place>) {
    let of = |(server, upstream, alice)| Table { _server: server, upstream, alice };
    let (own, mandatory) = (of(gavel().await), of(gavel_with(MANDATORY).await));
    for place in places {
        for mode in [Mode::Transparent, Mode::Redacts, Mode::Blocks] {
            own.check(path, place, mode).await;
        }
        mandatory.check(path, place, Mode::Mandatory).await;
    }
}

#[tokio::test]
async fn over_a_websocket() {
    table(Path::Socket, ON_SOCKETS).await;
}

#[tokio::test]
async fn in_a_whole_completion() {
    table(Path::Whole, TO_PROVIDER.into_iter().chain(TO_CLIENT)).await;
}

#[tokio::test]
async fn in_a_streamed_completion() {
    table(Path::Stream, TO_PROVIDER.into_iter().chain(TO_CLIENT)).await;
}
