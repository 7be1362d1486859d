//! An answer while it is written: server-sent events as chat completions have them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use gavel_store::MessageId;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;

use super::Listener;
use super::answer::{Fault, Piece, Progress, leaf_of, with_leaf};
use super::wire::{Chunk, Delta, DeltaChoice, Results, ToolCall};
use crate::clock;
use crate::tasks::Tasks;
use crate::turn::Usage;

/// How long the answer's head waits for the first piece: by then most failures have a status of their own.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How often a client hears that the answer is still being written.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// A client that takes no event for so long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// Events that may wait for the client.
const EVENTS_AHEAD: usize = 16;

/// What the chunks say alike, and whether the last one counts tokens.
pub(super) struct Form {
    pub(super) model: String,
    pub(super) usage: bool,
}

/// Answers with a stream, or with an error as long as nothing was sent.
pub(super) async fn respond(tasks: &Tasks, mut listener: Listener, form: Form) -> Result<Response, Fault> {
    let mut progress = Progress::default();
    let mut first = None;
    let patience = Instant::now() + HEAD_PATIENCE;
    // The head names the input's leaf, so it waits for the input's seal however long that takes.
    while first.is_none() {
        let next = if progress.answer.is_none() {
            listener.next().await
        } else {
            match timeout_at(patience, listener.next()).await {
                Ok(next) => next,
                Err(_) => break,
            }
        };
        let Some(frame) = next else {
            let (reason, usage) = progress.ended()?;
            let chunks = Chunks::new(&progress, form);
            let body = chunks.first() + &chunks.end(reason, usage, &progress);
            return Ok(streaming(&progress, Body::from(body)));
        };
        first = progress.take(frame);
    }
    let (events, waiting) = mpsc::channel(EVENTS_AHEAD);
    let body = Body::from_stream(ReceiverStream::new(waiting).map(Ok::<_, Infallible>));
    let response = streaming(&progress, body);
    let chunks = Chunks::new(&progress, form);
    tasks.spawn(relay(listener, progress, chunks, first, events));
    Ok(response)
}

fn streaming(progress: &Progress, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    // Proxies that would gather the events are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    with_leaf(response, leaf_of(&progress.results))
}

/// Passes the turn on until it has ended. A client that is gone, or takes nothing any more, ends it.
async fn relay(
    mut listener: Listener,
    mut progress: Progress,
    mut chunks: Chunks,
    first: Option<Piece>,
    events: mpsc::Sender<Bytes>,
) {
    let mut begin = chunks.first();
    if let Some(piece) = first {
        begin.push_str(&chunks.piece(piece));
    }
    if !sent(&events, begin).await {
        return;
    }
    let mut comments = interval_at(Instant::now() + COMMENT_EVERY, COMMENT_EVERY);
    comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = events.closed() => return,
            frame = listener.next() => match frame {
                Some(frame) => progress.take(frame).map(|piece| chunks.piece(piece)),
                None => break,
            },
            _ = comments.tick() => Some(COMMENT.to_owned()),
        };
        if let Some(event) = event
            && !sent(&events, event).await
        {
            return;
        }
    }
    let end = match progress.ended() {
        Ok((reason, usage)) => chunks.end(reason, usage, &progress),
        Err(fault) => event(&fault.body()),
    };
    sent(&events, end).await;
}

async fn sent(events: &mpsc::Sender<Bytes>, event: String) -> bool {
    matches!(timeout(WRITE_DEADLINE, events.send(event.into())).await, Ok(Ok(())))
}

const DONE: &str = "data: [DONE]\n\n";
const COMMENT: &str = ": still writing\n\n";

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Makes chunks.
struct Chunks {
    id: Option<MessageId>,
    created: i64,
    form: Form,
    /// Tool calls so far: each has its number.
    calls: usize,
}

impl Chunks {
    fn new(progress: &Progress, form: Form) -> Self {
        Self { id: progress.answer, created: clock::now_ms() / 1000, form, calls: 0 }
    }

    fn chunk<'a>(&'a self, choices: Vec<DeltaChoice<'a>>) -> Chunk<'a> {
        Chunk {
            id: self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.form.model,
            choices,
            usage: self.form.usage.then_some(None),
            governance: None,
        }
    }

    fn delta(&self, delta: Delta<'_>) -> String {
        written(&self.chunk(vec![DeltaChoice { index: 0, delta, logprobs: None, finish_reason: None }]))
    }

    fn first(&self) -> String {
        self.delta(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() })
    }

    fn piece(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Text(text) => self.delta(Delta { content: Some(&text), ..Delta::default() }),
            Piece::Thought(text) => self.delta(Delta { reasoning_content: Some(&text), ..Delta::default() }),
            Piece::Call(call) => {
                let call = ToolCall::of(call, Some(self.calls));
                self.calls += 1;
                self.delta(Delta { tool_calls: Some([call]), ..Delta::default() })
            }
        }
    }

    /// How the answer ended; the last chunk has the verdicts, and counts the tokens where that was asked for.
    fn end(&self, reason: &str, usage: Usage, progress: &Progress) -> String {
        let governance = Some(Results { results: &progress.results });
        let choice = DeltaChoice { index: 0, delta: Delta::default(), logprobs: None, finish_reason: Some(reason) };
        let finish = self.chunk(vec![choice]);
        let chunks = if self.form.usage {
            let counts = Chunk { usage: Some(Some(usage.into())), governance, ..self.chunk(Vec::new()) };
            written(&finish) + &written(&counts)
        } else {
            written(&Chunk { governance, ..finish })
        };
        chunks + DONE
    }
}

fn written(chunk: &Chunk<'_>) -> String {
    event(&serde_json::to_string(chunk).unwrap_or_default())
}
