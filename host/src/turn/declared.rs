//! What a request declares besides its messages: tools, the answer's schema, options. It reaches the provider too, so
//! it is judged: as one text, canonical JSON.

use gavel_log::jcs;
use gavel_sandbox::provider::{ChatRequest, Part, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Digits of a number that may be more than a number.
const TELLING_DIGITS: usize = 7;

/// Everything in a request that is a caller's own words and no message.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Declared {
    /// Ids of tool calls and the tools' names, in order: the caller wrote them too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<DeclaredTool>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredTool {
    description: String,
    name: String,
    parameters: Value,
}

impl Declared {
    /// What a request declares; none where it declares nothing.
    pub(super) fn of(request: &ChatRequest) -> Option<Self> {
        let value = |json: &String| serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.clone()));
        let extra = match request.extra_json.as_ref().map(value) {
            // Switches and small numbers alone are nobody's words.
            Some(Value::Object(extra)) if extra.values().any(holds_text) => extra,
            _ => Map::new(),
        };
        let declared = Self {
            calls: names(request).cloned().collect(),
            extra,
            output_schema: request.output_schema.as_ref().map(value),
            stop: request.stop.clone(),
            tool_choice: match &request.tool_choice {
                Some(ToolChoice::Named(name)) => Some(name.clone()),
                _ => None,
            },
            tools: request.tools.iter().map(|tool| DeclaredTool::of(tool, value)).collect(),
        };
        (declared != Self::default()).then_some(declared)
    }

    /// The text that is judged: RFC 8785, but for integers that it would round.
    pub(super) fn to_text(&self) -> String {
        let text = jcs::to_string(self).or_else(|_| serde_json::to_string(self));
        text.unwrap_or_default()
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether a text says as much as this: whether it can take its place after edits.
    pub(super) fn takes(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| {
            (other.calls.len(), other.tools.len(), other.extra.len())
                == (self.calls.len(), self.tools.len(), self.extra.len())
        })
    }

    /// Puts it back.
    pub(super) fn put_into(self, request: &mut ChatRequest) {
        for (name, edited) in names_mut(request).zip(self.calls) {
            *name = edited;
        }
        if !self.extra.is_empty() {
            request.extra_json = Some(Value::Object(self.extra).to_string());
        }
        request.output_schema = self.output_schema.map(|schema| schema.to_string());
        request.stop = self.stop;
        if let Some(name) = self.tool_choice {
            request.tool_choice = Some(ToolChoice::Named(name));
        }
        request.tools = self.tools.into_iter().map(Into::into).collect();
    }
}

impl DeclaredTool {
    fn of(tool: &Tool, value: impl Fn(&String) -> Value) -> Self {
        Self {
            description: tool.description.clone(),
            name: tool.name.clone(),
            parameters: value(&tool.parameters_schema),
        }
    }
}

impl From<DeclaredTool> for Tool {
    fn from(tool: DeclaredTool) -> Self {
        Self { name: tool.name, description: tool.description, parameters_schema: tool.parameters.to_string() }
    }
}

fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(values) => values.iter().any(holds_text),
        Value::Object(members) => !members.is_empty(),
        // As long as what tells one person from another: a seed may be a card's number.
        Value::Number(number) => number.to_string().len() >= TELLING_DIGITS,
        Value::Null | Value::Bool(_) => false,
    }
}

/// The ids of the calls and of the results that name them, and the names of the tools that were called.
fn names(request: &ChatRequest) -> impl Iterator<Item = &String> {
    request.messages.iter().flat_map(|message| &message.parts).flat_map(|part| match part {
        Part::ToolCall { id, name, .. } => vec![id, name],
        Part::ToolResult { call_id, .. } => vec![call_id],
        _ => Vec::new(),
    })
}

fn names_mut(request: &mut ChatRequest) -> impl Iterator<Item = &mut String> {
    request.messages.iter_mut().flat_map(|message| &mut message.parts).flat_map(|part| match part {
        Part::ToolCall { id, name, .. } => vec![id, name],
        Part::ToolResult { call_id, .. } => vec![call_id],
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use gavel_sandbox::provider::{Message, Role};

    use super::*;

    fn request() -> ChatRequest {
        let call =
            Part::ToolCall { id: "call_1".into(), name: "pay".into(), arguments_json: "{}".into(), opaque: None };
        ChatRequest {
            messages: vec![Message { role: Role::Assistant, parts: vec![call] }],
            tools: vec![Tool {
                name: "pay".into(),
                description: "Pays with \u{34}111".into(),
                parameters_schema: r#"{"type":"object","default":"\u0034111"}"#.into(),
            }],
            stop: vec!["END".into()],
            extra_json: Some(r#"{"user":"ann","seed":7}"#.into()),
            ..ChatRequest::default()
        }
    }

    #[test]
    fn everything_declared_stands_in_one_text_without_escapes() {
        let text = Declared::of(&request()).unwrap().to_text();
        let expected = concat!(
            r#"{"calls":["call_1","pay"],"extra":{"seed":7,"user":"ann"},"stop":["END"],"#,
            r#""tools":[{"description":"Pays with 4111","name":"pay","parameters":{"default":"4111","type":"object"}}]}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn an_edited_text_takes_its_place() {
        let mut request = request();
        let declared = Declared::of(&request).unwrap();
        let edited = declared.to_text().replace("ann", "[x]").replace("call_1", "[id]").replace("Pays", "P");
        assert!(declared.takes(&edited));
        Declared::parse(&edited).unwrap().put_into(&mut request);
        assert_eq!(request.extra_json.as_deref(), Some(r#"{"seed":7,"user":"[x]"}"#));
        assert_eq!(request.tools[0].description, "P with 4111");
        assert_eq!(names(&request).collect::<Vec<_>>(), ["[id]", "pay"]);
        assert!(!declared.takes(&edited.replace('7', "[x]")), "no JSON any more");
        assert!(!declared.takes(r#"{"calls":["a"]}"#), "something is missing");
    }

    #[test]
    fn small_numbers_alone_declare_nothing() {
        let plain = ChatRequest { extra_json: Some(r#"{"seed":7,"logit_bias":{}}"#.into()), ..ChatRequest::default() };
        assert_eq!(Declared::of(&plain), None);
        let telling = ChatRequest { extra_json: Some(r#"{"seed":4111111111111111}"#.into()), ..plain.clone() };
        assert!(Declared::of(&telling).unwrap().to_text().contains("4111111111111111"));
        let named = ChatRequest { tool_choice: Some(ToolChoice::Named("a".into())), ..plain };
        assert_eq!(Declared::of(&named).unwrap().to_text(), r#"{"tool_choice":"a"}"#);
    }
}
