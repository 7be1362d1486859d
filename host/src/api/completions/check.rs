//! From a client's request to a conversation that a turn can take, or to what is wrong with it.

use gavel_sandbox::provider::{ChatRequest, Tool, ToolChoice};
use serde_json::{Map, Value, json};

use super::super::problem::Problem;
use super::conversation::Conversation;
use super::faults::{Faults, NAME, is_name};
use super::request::{self, Request};
use crate::turn::Stateless;

/// Most messages of a request, and most tools.
const MAX_MESSAGES: usize = 1024;
const MAX_TOOLS: usize = 128;
/// Most texts at which an answer ends, and most characters of one, and of other short texts.
const MAX_STOPS: usize = 4;
const MAX_SHORT_CHARS: usize = 256;

/// A request that can be carried out.
pub(super) struct Wish {
    pub(super) model: Option<String>,
    /// The text that is to be answered.
    pub(super) text: String,
    /// What stands before it.
    pub(super) stateless: Stateless,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// Checks a request.
///
/// # Errors
/// Which fields are at fault.
pub(super) fn checked(request: Request) -> Result<Wish, Problem> {
    let mut faults = Faults::default();
    refused(&request, &mut faults);
    let mut chat = options(&request, &mut faults);
    chat.tools = tools(request.tools.unwrap_or_default(), &mut faults);
    chat.tool_choice = tool_choice(request.tool_choice.as_ref(), &chat.tools, &mut faults);
    let mut conversation = Conversation::default();
    let said = request.messages.unwrap_or_default();
    if !(1..=MAX_MESSAGES).contains(&said.len()) {
        faults.add("/messages", format!("must have 1 to {MAX_MESSAGES} messages"));
    } else {
        for (index, message) in said.into_iter().enumerate() {
            conversation.add(index, message, &mut faults)?;
        }
    }
    let (before, asked, text) = conversation.ended(&mut faults);
    faults.none()?;
    chat.messages = before;
    Ok(Wish {
        model: request.model,
        text,
        stateless: Stateless { request: chat, asked },
        stream: request.stream.unwrap_or_default(),
        include_usage: request.stream_options.is_some_and(|options| options.0.include_usage.unwrap_or_default()),
    })
}

/// What would go around the gate, or is of an older form.
fn refused(request: &Request, faults: &mut Faults) {
    let around = "would go around what judges the answer";
    if request.n.is_some_and(|n| n != 1) {
        faults.add("/n", "must be 1: one answer is judged at a time");
    }
    if request.logprobs == Some(true) || request.top_logprobs.is_some_and(|most| most != 0) {
        faults.add(if request.logprobs == Some(true) { "/logprobs" } else { "/top_logprobs" }, around);
    }
    if request.modalities.as_ref().is_some_and(|modalities| modalities.iter().any(|modality| modality != "text")) {
        faults.add("/modalities", "must be [\"text\"]: nothing else can be judged");
    }
    for (name, given) in [
        ("/audio", &request.audio),
        ("/prediction", &request.prediction),
        ("/web_search_options", &request.web_search_options),
    ] {
        if given.is_some() {
            faults.add(name, around);
        }
    }
    for (name, given) in [("/functions", &request.functions), ("/function_call", &request.function_call)] {
        if given.is_some() {
            faults.add(name, "is the old form: use tools and tool_choice");
        }
    }
}

fn options(request: &Request, faults: &mut Faults) -> ChatRequest {
    for (name, number, least, most) in [
        ("temperature", request.temperature, 0.0, 2.0),
        ("top_p", request.top_p, 0.0, 1.0),
        ("frequency_penalty", request.frequency_penalty, -2.0, 2.0),
        ("presence_penalty", request.presence_penalty, -2.0, 2.0),
    ] {
        if number.is_some_and(|number| !(least..=most).contains(&number)) {
            faults.add(format!("/{name}"), format!("must be between {least} and {most}"));
        }
    }
    for (name, most) in [("max_tokens", request.max_tokens), ("max_completion_tokens", request.max_completion_tokens)] {
        if most == Some(0) {
            faults.add(format!("/{name}"), "must be at least 1");
        }
    }
    let mut extra = extra(request, faults);
    let output_schema = response_format(request, &mut extra, faults);
    ChatRequest {
        output_schema,
        max_output_tokens: request.max_completion_tokens.or(request.max_tokens),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: stop(request.stop.as_ref(), faults),
        extra_json: (!extra.is_empty()).then(|| Value::Object(extra).to_string()),
        ..ChatRequest::default()
    }
}

/// What is passed on as it is.
fn extra(request: &Request, faults: &mut Faults) -> Map<String, Value> {
    let mut extra = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            extra.insert(name.to_owned(), value);
        }
    };
    set("seed", request.seed.map(Value::from));
    set("frequency_penalty", request.frequency_penalty.map(Value::from));
    set("presence_penalty", request.presence_penalty.map(Value::from));
    set("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    if let Some(bias) = &request.logit_bias {
        if bias.iter().any(|(token, bias)| token.parse::<u32>().is_err() || !(-100.0..=100.0).contains(bias)) {
            faults.add("/logit_bias", "must give token ids a bias between -100 and 100");
        }
        set("logit_bias", Some(json!(bias)));
    }
    for (name, text) in [
        ("reasoning_effort", &request.reasoning_effort),
        ("verbosity", &request.verbosity),
        ("service_tier", &request.service_tier),
        ("user", &request.user),
        ("safety_identifier", &request.safety_identifier),
        ("prompt_cache_key", &request.prompt_cache_key),
    ] {
        if text.as_ref().is_some_and(|text| text.chars().count() > MAX_SHORT_CHARS) {
            faults.add(format!("/{name}"), format!("must have at most {MAX_SHORT_CHARS} characters"));
        }
        set(name, text.clone().map(Value::from));
    }
    extra
}

/// The answer's schema; what else is said of its format is passed on.
fn response_format(request: &Request, extra: &mut Map<String, Value>, faults: &mut Faults) -> Option<String> {
    let format = &request.response_format.as_ref()?.0;
    match (format.kind.as_str(), &format.json_schema) {
        ("text", None) => None,
        ("json_object", None) => {
            extra.insert("response_format".to_owned(), json!({"type": "json_object"}));
            None
        }
        ("json_schema", Some(answer)) => {
            let answer = &answer.0;
            if !is_name(&answer.name) {
                faults.add("/response_format/json_schema/name", NAME);
            }
            let Some(schema @ Value::Object(_)) = &answer.schema else {
                faults.add("/response_format/json_schema/schema", "must be a JSON Schema: an object");
                return None;
            };
            let mut of_schema = Map::from_iter([("name".to_owned(), json!(answer.name))]);
            of_schema.extend(answer.description.clone().map(|said| ("description".to_owned(), said.into())));
            of_schema.extend(answer.strict.map(|strict| ("strict".to_owned(), strict.into())));
            extra.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": of_schema}));
            Some(schema.to_string())
        }
        ("json_schema", None) => {
            faults.add("/response_format", "json_schema is missing");
            None
        }
        _ => {
            faults.add("/response_format/type", "must be text, json_object or json_schema");
            None
        }
    }
}

fn stop(stop: Option<&Value>, faults: &mut Faults) -> Vec<String> {
    let stops: Option<Vec<String>> = match stop {
        None => return Vec::new(),
        Some(Value::String(stop)) => Some(vec![stop.clone()]),
        Some(Value::Array(stops)) => stops.iter().map(|stop| stop.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    let fits = |stop: &String| (1..=MAX_SHORT_CHARS).contains(&stop.chars().count());
    match stops {
        Some(stops) if stops.len() <= MAX_STOPS && stops.iter().all(fits) => stops,
        _ => {
            let detail = format!("must be a text or up to {MAX_STOPS} of them, of 1 to {MAX_SHORT_CHARS} characters");
            faults.add("/stop", detail);
            Vec::new()
        }
    }
}

fn tools(given: Vec<request::Tool>, faults: &mut Faults) -> Vec<Tool> {
    if given.len() > MAX_TOOLS {
        faults.add("/tools", format!("must be at most {MAX_TOOLS}"));
        return Vec::new();
    }
    let mut tools: Vec<Tool> = Vec::with_capacity(given.len());
    for (index, tool) in given.into_iter().enumerate() {
        let (true, Some(function)) = (tool.kind == "function", tool.function) else {
            faults.add(format!("/tools/{index}"), "must be a function: other kinds cannot be judged");
            continue;
        };
        let function = function.0;
        if !is_name(&function.name) {
            faults.add(format!("/tools/{index}/function/name"), NAME);
        } else if tools.iter().any(|tool| tool.name == function.name) {
            faults.add(format!("/tools/{index}/function/name"), "is the name of another tool too");
        }
        let parameters = function.parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        if !parameters.is_object() {
            faults.add(format!("/tools/{index}/function/parameters"), "must be a JSON Schema: an object");
        }
        tools.push(Tool {
            name: function.name,
            description: function.description.unwrap_or_default(),
            parameters_schema: parameters.to_string(),
        });
    }
    tools
}

fn tool_choice(choice: Option<&Value>, tools: &[Tool], faults: &mut Faults) -> Option<ToolChoice> {
    let choice = choice?;
    let named = || {
        let known = choice.get("type").is_some_and(|kind| kind == "function")
            && choice.as_object().is_some_and(|choice| choice.len() == 2);
        let name = choice.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
        name.filter(|name| known && tools.iter().any(|tool| tool.name == *name))
    };
    let choice = match choice.as_str() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required") if !tools.is_empty() => Some(ToolChoice::Required),
        Some(_) => None,
        None => named().map(|name| ToolChoice::Named(name.to_owned())),
    };
    if choice.is_none() {
        faults.add("/tool_choice", "must be none, auto, required, or a function that stands in tools");
    }
    choice
}
