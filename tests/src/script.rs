//! What the mock provider is to do with a request.

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Tokens that every answer says to have cost.
const USAGE: (u64, u64) = (11, 7);
/// More than any script has deltas.
const EVERYTHING: usize = 1 << 20;

/// One reply.
#[derive(Clone)]
pub struct Script {
    status: u16,
    headers: BTreeMap<&'static str, String>,
    steps: Vec<Step>,
    pace: Option<watch::Receiver<usize>>,
    mute: bool,
}

/// One step of a response's body.
#[derive(Clone)]
enum Step {
    /// A delta: with a pace, sent when the test lets it go.
    Delta(Bytes),
    /// Sent at once.
    Bytes(Bytes),
    /// The connection breaks.
    Cut,
    /// Nothing more happens.
    Stall,
}

/// A test's hold on a paced reply, or on all replies of one script: how many deltas each may send.
pub struct Pace(watch::Sender<usize>);

impl Pace {
    /// Lets so many more deltas go.
    pub fn let_go(&self, deltas: usize) {
        self.0.send_modify(|allowed| *allowed += deltas);
    }

    /// Lets all the rest go.
    pub fn let_all_go(&self) {
        self.let_go(EVERYTHING);
    }
}

impl Script {
    /// An answer in these deltas, whole and with its usage.
    pub fn says<S: Into<String>>(deltas: impl IntoIterator<Item = S>) -> Self {
        Self::begins(deltas).finishes("stop")
    }

    /// Thoughts in these deltas, then an answer in those.
    pub fn thinks<S: Into<String>>(thoughts: impl IntoIterator<Item = S>, deltas: impl IntoIterator<Item = S>) -> Self {
        let thoughts = thoughts.into_iter().map(|thought| json!({"reasoning_content": thought.into()}));
        let deltas = deltas.into_iter().map(|delta| json!({"content": delta.into()}));
        Self::streams(thoughts.chain(deltas)).finishes("stop")
    }

    /// These deltas, and then the end for this reason.
    pub fn ends_with<S: Into<String>>(deltas: impl IntoIterator<Item = S>, finish_reason: &str) -> Self {
        Self::begins(deltas).finishes(finish_reason)
    }

    /// An answer in these deltas as Cloudflare Workers AI streams it, padding and all; `whole` or without its end.
    pub fn says_as_cloudflare<S: Into<String>>(deltas: impl IntoIterator<Item = S>, whole: bool) -> Self {
        let chunk = |delta: S| json!({"response": delta.into(), "p": "abdefghijklmnopqrstuvwxyz"});
        let deltas = deltas.into_iter().map(|delta| event(&chunk(delta)));
        let total = USAGE.0 + USAGE.1;
        let usage = json!({"prompt_tokens": USAGE.0, "completion_tokens": USAGE.1, "total_tokens": total});
        let end = format!("{}data: [DONE]\n\n", event(&json!({"response": "", "usage": usage})));
        let events = deltas.chain(whole.then_some(end));
        let steps = events.map(|event| Step::Delta(event.into())).collect();
        Self { steps, ..Self::streams([]) }
    }

    /// A call of a tool that nobody offered.
    #[must_use]
    pub fn calls_a_tool() -> Self {
        let function = json!({"name": "delete_everything", "arguments": "{}"});
        let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "function": function}]});
        Self::streams([call]).finishes("tool_calls")
    }

    /// Calls of tools, each a name and its arguments, which come in two pieces.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let deltas = calls.into_iter().enumerate().flat_map(|(index, (name, arguments))| {
            let middle = (0..=arguments.len() / 2).rev().find(|&at| arguments.is_char_boundary(at)).unwrap_or(0);
            let (one, two) = arguments.split_at(middle);
            let call = |function: Value| json!({"tool_calls": [{"index": index, "function": function}]});
            let mut first = call(json!({"name": name, "arguments": one}));
            first["tool_calls"][0]["id"] = json!(format!("call_{}", index + 1));
            first["tool_calls"][0]["type"] = json!("function");
            [first, call(json!({"arguments": two}))]
        });
        Self::streams(deltas.collect::<Vec<_>>()).finishes("tool_calls")
    }

    /// The same, but each delta waits until the test lets it go.
    pub fn says_at_a_pace<S: Into<String>>(deltas: impl IntoIterator<Item = S>) -> (Self, Pace) {
        let (pace, allowed) = watch::channel(0);
        let script = Self { pace: Some(allowed), ..Self::says(deltas) };
        (script, Pace(pace))
    }

    /// These deltas, and then the connection breaks.
    pub fn breaks_off_after<S: Into<String>>(deltas: impl IntoIterator<Item = S>) -> Self {
        let mut script = Self::begins(deltas);
        script.steps.push(Step::Cut);
        script
    }

    /// These deltas, and then silence.
    pub fn stalls_after<S: Into<String>>(deltas: impl IntoIterator<Item = S>) -> Self {
        let mut script = Self::begins(deltas);
        script.steps.push(Step::Stall);
        script
    }

    /// An answer of this status with a body in the provider's shape.
    #[must_use]
    pub fn refuses(status: u16) -> Self {
        let body = json!({"error": {"message": "the provider's own words", "type": "mock"}}).to_string();
        Self::answers(status, "application/json", body)
    }

    /// An answer of these bytes.
    pub fn answers(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = BTreeMap::from([("content-type", content_type.to_owned())]);
        Self { status, headers, steps: vec![Step::Bytes(body.into())], pace: None, mute: false }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.to_owned());
        self
    }

    /// No answer at all, not even its beginning.
    #[must_use]
    pub fn says_nothing() -> Self {
        Self { mute: true, ..Self::streams([]) }
    }

    fn begins<S: Into<String>>(deltas: impl IntoIterator<Item = S>) -> Self {
        Self::streams(deltas.into_iter().map(|delta| json!({"content": delta.into()})))
    }

    fn streams(deltas: impl IntoIterator<Item = Value>) -> Self {
        let chunk = |delta| json!({"model": "mock", "choices": [{"index": 0, "delta": delta}]});
        let steps = deltas.into_iter().map(|delta| Step::Delta(event(&chunk(delta)).into())).collect();
        let headers = BTreeMap::from([("content-type", "text/event-stream".to_owned())]);
        Self { status: 200, headers, steps, pace: None, mute: false }
    }

    fn finishes(mut self, finish_reason: &str) -> Self {
        let usage = json!({"prompt_tokens": USAGE.0, "completion_tokens": USAGE.1});
        let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]});
        let end = format!("{}{}data: [DONE]\n\n", event(&finish), event(&json!({"choices": [], "usage": usage})));
        self.steps.push(Step::Bytes(end.into()));
        self
    }

    /// The response. When it is over, `ended` is told whether it was sent whole, or left by its reader.
    pub(crate) async fn response(self, ended: impl FnOnce(bool) + Send + 'static) -> Response<Body> {
        if self.mute {
            return std::future::pending().await;
        }
        let mut response = Response::builder().status(self.status).header(header::CACHE_CONTROL, "no-cache");
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let state = (self.steps.into_iter(), self.pace, 0, Ending(Some(ended)));
        let body = unfold(state, |(mut steps, mut pace, mut deltas, mut ended)| async move {
            // Lets the connection write what it has: each step goes out on its own.
            tokio::task::yield_now().await;
            let step = steps.next();
            if let (Some(Step::Delta(_)), Some(pace)) = (&step, &mut pace) {
                if pace.wait_for(|allowed| *allowed > deltas).await.is_err() {
                    std::future::pending::<()>().await;
                }
                deltas += 1;
            }
            let sent = match step {
                Some(Step::Delta(bytes) | Step::Bytes(bytes)) => Ok(bytes),
                Some(Step::Cut) => Err(io::Error::other("cut by the script")),
                Some(Step::Stall) => std::future::pending().await,
                None => {
                    ended.tell(true);
                    return None;
                }
            };
            Some((sent, (steps, pace, deltas, ended)))
        });
        response.body(Body::from_stream(body)).expect("a script's headers are valid")
    }
}

/// Tells once how a response ended.
struct Ending<F: FnOnce(bool)>(Option<F>);

impl<F: FnOnce(bool)> Ending<F> {
    fn tell(&mut self, whole: bool) {
        if let Some(ended) = self.0.take() {
            ended(whole);
        }
    }
}

impl<F: FnOnce(bool)> Drop for Ending<F> {
    fn drop(&mut self) {
        self.tell(false);
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
