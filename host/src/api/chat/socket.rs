//! One open socket: a loop that hears its client, and forwards one turn at a time.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use gavel_store::{AgentId, FileId, MessageId};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite;

use super::super::App;
use super::client::{Refusal, Wish, frame_limit, parse};
use crate::agent::{LiveTurn, Reader, Said};
use crate::auth::{Caller, Stay};
use crate::clock::now_ms;
use crate::turn::Frame;

/// Frames up to this many times the limit are read before the socket is closed: closing it while the client still
/// writes would tear the connection down before the client has read why.
pub(super) const READ_AHEAD: usize = 2;
/// Bytes that are read, and gathered for writing, at once. Room for reading is zeroed each time, so more costs more.
pub(super) const BUFFER_BYTES: usize = 4 * 1024;
/// Messages that may wait behind the turn under way.
const QUEUE: usize = 8;
/// Frames that may wait for the task that writes them.
const OUTBOX: usize = 16;
/// A client that takes no byte for so long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that has said nothing for so long, not even a pong, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long the last frames of a turn that the server's end overtook may take.
const LAST_FRAMES: Duration = Duration::from_secs(2);
/// How often a credential's end is compared with the wall clock.
const CLOCK_STEP: Duration = Duration::from_secs(60);
/// How long a client may take to answer a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// RFC 6455 §7.4.1: the frame is of a kind that is not taken.
const UNSUPPORTED: u16 = 1003;
/// RFC 6455 §7.4.1: a text is not UTF-8.
const NOT_UTF8: u16 = 1007;
/// RFC 6455 §7.4.1: the frame is too large.
const TOO_LARGE: u16 = 1009;
/// IANA's registry: the server is being restarted.
const RESTART: u16 = 1012;
/// Of the range for applications: the agent does not exist any more.
const DELETED: u16 = 4404;
/// RFC 6455 §7.4.1: a frame broke the protocol.
const PROTOCOL: u16 = 1002;
/// Ours (RFC 6455 §7.4.2 leaves 4000 to 4999 to applications): what the client came in with has ended.
const UNAUTHORIZED: u16 = 4401;

/// One client's chat with one agent.
pub(super) struct Chat {
    app: App,
    agent: AgentId,
    caller: Caller,
    stay: Stay,
    /// The turn that is forwarded.
    current: Option<Reader>,
    /// What waits behind it; at most [`QUEUE`].
    waiting: VecDeque<Waiting>,
}

/// Something that waits for the turn under way to end.
enum Waiting {
    Message { message: MessageId, content: String, files: Vec<FileId> },
    Turn(std::sync::Arc<LiveTurn>),
}

/// What follows from something that was heard.
enum Next {
    Go,
    Close(u16, &'static str),
    Gone,
}

impl Chat {
    pub(super) fn new(app: App, agent: AgentId, caller: Caller, stay: Stay) -> Self {
        Self { app, agent, caller, stay, current: None, waiting: VecDeque::new() }
    }

    /// Talks with the client until either side closes.
    pub(super) async fn run(mut self, socket: WebSocket) {
        let (sink, mut heard) = socket.split();
        let (out, queue) = mpsc::channel(OUTBOX);
        let writer = self.app.tasks.spawn(write(sink, queue));
        let end = self.converse(&mut heard, &out).await;
        // The turn goes on without this reader, for a while.
        self.current = None;
        if let Next::Close(code, reason) = end {
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            if timeout(WRITE_DEADLINE, out.send(close)).await.is_ok() {
                drop(out);
                let _ = timeout(WRITE_DEADLINE, writer).await;
                let _ = timeout(CLOSE_GRACE, until_closed(&mut heard)).await;
            }
        }
    }

    async fn converse(&mut self, heard: &mut SplitStream<WebSocket>, out: &mpsc::Sender<Message>) -> Next {
        let (draining, closing) = (self.app.tasks.draining().clone(), self.app.tasks.closing().clone());
        let deleted = self.app.agents.end_of(self.agent);
        if self.app.agents.find(&self.agent).is_ok_and(|agent| agent.is_none()) {
            deleted.cancel();
        }
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_heard = Instant::now();
        let ended = self.stay.ended().clone();
        let expired = at(self.caller.ends_at());
        tokio::pin!(expired);
        loop {
            // Before anything that the client may still have said.
            if ended.is_cancelled() {
                return Next::Close(UNAUTHORIZED, "the token has been revoked");
            }
            if draining.is_cancelled() {
                self.waiting.clear();
                if self.current.is_none() {
                    return Next::Close(RESTART, "the server is going down");
                }
            }
            let next = tokio::select! {
                () = closing.cancelled() => {
                    self.last_frames(out).await;
                    Next::Close(RESTART, "the server is going down")
                }
                () = ended.cancelled() => Next::Go,
                () = &mut expired => Next::Close(UNAUTHORIZED, "the token has expired"),
                () = deleted.cancelled() => {
                    self.last_frames(out).await;
                    Next::Close(DELETED, "the agent was deleted")
                }
                () = draining.cancelled(), if !draining.is_cancelled() => Next::Go,
                said = heard.next() => {
                    last_heard = Instant::now();
                    self.hear(said, out).await
                }
                forwarded = forward(&mut self.current, out), if self.current.is_some() => {
                    self.forwarded(forwarded, out).await
                }
                _ = pings.tick() => {
                    if last_heard.elapsed() > SILENCE {
                        Next::Gone
                    } else {
                        send(out, Message::Ping(bytes::Bytes::new())).await
                    }
                }
            };
            match next {
                Next::Go => {}
                end => return end,
            }
        }
    }

    /// Forwards the rest of a turn that has ended: its client sees its end before the socket's.
    async fn last_frames(&mut self, out: &mpsc::Sender<Message>) {
        let rest = async { while let Forwarded::Frame = forward(&mut self.current, out).await {} };
        let _ = timeout(LAST_FRAMES, rest).await;
    }

    async fn hear(&mut self, said: Option<Result<Message, axum::Error>>, out: &mpsc::Sender<Message>) -> Next {
        let limit = frame_limit(self.app.config.limits.message_bytes);
        match said {
            Some(Ok(Message::Text(text))) if text.len() > limit => Next::Close(TOO_LARGE, "the frame is too large"),
            Some(Ok(Message::Text(text))) => match parse(&text, self.app.config.limits.message_bytes) {
                Ok(wish) => self.grant(wish, out).await,
                Err(refusal) => refuse(out, refusal).await,
            },
            Some(Ok(Message::Binary(_))) => Next::Close(UNSUPPORTED, "only text frames are taken"),
            // Pings are answered by the protocol's implementation.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Next::Go,
            Some(Ok(Message::Close(_))) | None => Next::Gone,
            Some(Err(error)) => broken(&error),
        }
    }

    async fn grant(&mut self, wish: Wish, out: &mpsc::Sender<Message>) -> Next {
        match wish {
            Wish::Ping => tell(out, &Frame::Pong).await,
            Wish::Say { message, content, files } => {
                if self.current.is_some() {
                    return self.queue(Waiting::Message { message, content, files }, message, out).await;
                }
                self.say(message, content, files, out).await
            }
            Wish::Cancel(message) => self.cancel(message, out).await,
            Wish::Resume(message) => self.resume(message, out).await,
        }
    }

    async fn queue(&mut self, waiting: Waiting, about: MessageId, out: &mpsc::Sender<Message>) -> Next {
        if self.waiting.len() >= QUEUE {
            let detail = format!("{QUEUE} messages are waiting already");
            return refuse(out, Refusal::new("too_many_turns", detail, Some(about))).await;
        }
        self.waiting.push_back(waiting);
        Next::Go
    }

    async fn say(
        &mut self,
        message: MessageId,
        content: String,
        files: Vec<FileId>,
        out: &mpsc::Sender<Message>,
    ) -> Next {
        let refusal = match self.app.agents.find(&self.agent) {
            Ok(Some(agent)) => match self.app.conversations.say(agent, &self.caller, message, content, files) {
                Said::Turn(turn) => {
                    self.current = Some(Reader::new(turn));
                    return Next::Go;
                }
                Said::Refused(code, detail) => Refusal::new(code, detail, Some(message)),
                Said::RateLimited(standing) => {
                    let detail = format!("the agent takes {} requests a minute", standing.limit);
                    let refusal = Refusal::new("rate_limited", detail, Some(message));
                    Refusal { retry_after: Some(standing.retry_after), ..refusal }
                }
            },
            Ok(None) => Refusal::new("not_found", "the agent does not exist any more", Some(message)),
            Err(error) => {
                tracing::error!(%error, agent = %self.agent, "the agent cannot be read");
                Refusal::new("storage_unavailable", "the agent cannot be read", Some(message))
            }
        };
        refuse(out, refusal).await
    }

    async fn cancel(&mut self, message: Option<MessageId>, out: &mpsc::Sender<Message>) -> Next {
        let Some(message) = message else {
            return match &self.current {
                Some(reader) => {
                    reader.turn().cancel();
                    Next::Go
                }
                None => refuse(out, Refusal::new("turn_not_found", "no turn is under way", None)).await,
            };
        };
        let waits = |waiting: &Waiting| matches!(waiting, Waiting::Message { message: id, .. } if *id == message);
        if let Some(place) = self.waiting.iter().position(waits) {
            self.waiting.remove(place);
            let detail = "the message was cancelled before its turn began";
            return refuse(out, Refusal::new("cancelled", detail, Some(message))).await;
        }
        match self.turn(message).filter(|turn| !turn.has_ended()) {
            Some(turn) => {
                turn.cancel();
                Next::Go
            }
            None => refuse(out, turn_not_found(message)).await,
        }
    }

    async fn resume(&mut self, message: MessageId, out: &mpsc::Sender<Message>) -> Next {
        let Some(turn) = self.turn(message) else {
            return refuse(out, turn_not_found(message)).await;
        };
        match &self.current {
            Some(reader) if !std::sync::Arc::ptr_eq(reader.turn(), &turn) => {
                self.queue(Waiting::Turn(turn), message, out).await
            }
            _ => {
                self.current = Some(Reader::new(turn));
                Next::Go
            }
        }
    }

    /// A turn of this agent that this caller began.
    fn turn(&self, message: MessageId) -> Option<std::sync::Arc<LiveTurn>> {
        let agent = self.app.agents.find(&self.agent).ok().flatten()?;
        self.app.conversations.find(&agent, &self.caller, message)
    }

    async fn forwarded(&mut self, forwarded: Forwarded, out: &mpsc::Sender<Message>) -> Next {
        match forwarded {
            Forwarded::Frame => Next::Go,
            Forwarded::Gone => Next::Gone,
            Forwarded::End => {
                self.current = None;
                self.next_in_line(out).await
            }
        }
    }

    async fn next_in_line(&mut self, out: &mpsc::Sender<Message>) -> Next {
        while self.current.is_none()
            && let Some(waiting) = self.waiting.pop_front()
        {
            match waiting {
                Waiting::Turn(turn) => self.current = Some(Reader::new(turn)),
                Waiting::Message { message, content, files } => match self.say(message, content, files, out).await {
                    Next::Go => {}
                    end => return end,
                },
            }
        }
        Next::Go
    }
}

/// Waits for a time of the wall clock, in milliseconds since the Unix epoch; for ever where there is none.
async fn at(time: Option<i64>) {
    let Some(time) = time else { return std::future::pending().await };
    // In steps, since the wall clock may be set meanwhile.
    while let Ok(left @ 1..) = u64::try_from(time.saturating_sub(now_ms())) {
        sleep(Duration::from_millis(left).min(CLOCK_STEP)).await;
    }
}

/// What became of one step of forwarding.
enum Forwarded {
    Frame,
    End,
    Gone,
}

/// Hands the turn's next frame to the writer. Dropping the future loses nothing: a frame is taken only once there is
/// room for it.
async fn forward(current: &mut Option<Reader>, out: &mpsc::Sender<Message>) -> Forwarded {
    let Some(reader) = current else { return Forwarded::End };
    let Ok(room) = out.reserve().await else { return Forwarded::Gone };
    let Some(frame) = reader.next().await else { return Forwarded::End };
    room.send(text(&frame));
    Forwarded::Frame
}

fn text(frame: &Frame) -> Message {
    match serde_json::to_string(frame) {
        Ok(json) => Message::Text(json.into()),
        Err(error) => {
            tracing::error!(%error, "a frame has no JSON form");
            Message::Text(r#"{"type":"error","code":"internal","message":"the server failed"}"#.into())
        }
    }
}

async fn tell(out: &mpsc::Sender<Message>, frame: &Frame) -> Next {
    send(out, text(frame)).await
}

async fn refuse(out: &mpsc::Sender<Message>, refusal: Refusal) -> Next {
    let Refusal { code, message, about, retry_after } = refusal;
    tell(out, &Frame::Error { code, message, message_id: about, retry_after }).await
}

fn turn_not_found(message: MessageId) -> Refusal {
    Refusal::new("turn_not_found", "there is no such turn, or it ended long ago", Some(message))
}

async fn send(out: &mpsc::Sender<Message>, message: Message) -> Next {
    match timeout(WRITE_DEADLINE, out.send(message)).await {
        Ok(Ok(())) => Next::Go,
        Ok(Err(_)) | Err(_) => Next::Gone,
    }
}

/// How a socket ends whose frames cannot be read.
fn broken(error: &axum::Error) -> Next {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<tungstenite::Error>());
    match cause {
        Some(tungstenite::Error::Capacity(_)) => Next::Close(TOO_LARGE, "the frame is too large"),
        Some(tungstenite::Error::Utf8(_)) => Next::Close(NOT_UTF8, "the text is not UTF-8"),
        Some(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            Next::Gone
        }
        Some(tungstenite::Error::Protocol(_)) => Next::Close(PROTOCOL, "the frame breaks the protocol"),
        _ => Next::Gone,
    }
}

/// Writes what is in the queue until it is closed, or the client takes nothing any more. What waits already goes out
/// together.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut queue: mpsc::Receiver<Message>) {
    while let Some(first) = queue.recv().await {
        let gathered = async {
            let mut next = Some(first);
            while let Some(message) = next {
                sink.feed(message).await?;
                next = queue.try_recv().ok();
            }
            sink.flush().await
        };
        match timeout(WRITE_DEADLINE, gathered).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Reads on until the client has closed too, so that what it still sends does not tear the connection down.
async fn until_closed(heard: &mut SplitStream<WebSocket>) {
    while let Some(Ok(_)) = heard.next().await {}
}
