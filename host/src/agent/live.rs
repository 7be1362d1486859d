//! A turn as its client sees it: everything said so far, readable from the start by whoever comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_store::{AgentId, MessageId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::turn::Frame;

/// Bytes that a turn may be ahead of its fastest reader before it waits for that reader.
const WINDOW_BYTES: usize = 64 * 1024;
/// How long a turn goes on without a reader.
pub(super) const RESUME_GRACE: Duration = Duration::from_secs(30);
/// Most bytes of text in one frame: what was joined while nobody read is cut again, so that clients with small
/// buffers can take it.
const CHUNK_BYTES: usize = 64 * 1024;
/// What a frame weighs besides its text, about.
const FRAME_BYTES: usize = 128;

/// Everything that one turn has said.
///
/// Invariants: adjacent chunks of one message are held as one, so the frames weigh no more than the bounded
/// output and a few governance results; after `ended` nothing is added.
#[derive(Default)]
struct Said {
    frames: Vec<Frame>,
    bytes: usize,
    ended: bool,
}

/// Who reads along.
#[derive(Clone, Copy, Default)]
struct Audience {
    readers: usize,
    /// Bytes that the fastest reader has taken.
    taken: usize,
}

/// A turn that is under way, or was a moment ago.
pub struct LiveTurn {
    agent: AgentId,
    input: MessageId,
    /// The pseudonym of the one caller who may read it: what it says is meant for its caller.
    caller: String,
    cancel: CancellationToken,
    /// What it says is kept no longer than it runs.
    forgotten: AtomicBool,
    said: Mutex<Said>,
    /// Counts what was added, to wake readers.
    news: watch::Sender<u64>,
    audience: watch::Sender<Audience>,
}

impl LiveTurn {
    pub(super) fn new(agent: AgentId, input: MessageId, caller: String) -> Self {
        Self {
            agent,
            input,
            caller,
            cancel: CancellationToken::new(),
            forgotten: AtomicBool::new(false),
            said: Mutex::default(),
            news: watch::Sender::new(0),
            audience: watch::Sender::new(Audience::default()),
        }
    }

    /// The agent that is spoken with.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.agent
    }

    /// The id of the message that began it.
    #[must_use]
    pub fn input(&self) -> MessageId {
        self.input
    }

    /// Whether this caller began it.
    #[must_use]
    pub fn is_callers(&self, pseudonym: &str) -> bool {
        self.caller == pseudonym
    }

    /// Cancels it; it ends in its own way. Does nothing to one that has ended.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// It is not to be resumed after its end: what was said is to be forgotten.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Release);
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Whether all has been said.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.said().ended
    }

    /// Bytes that it holds in memory.
    pub(super) fn weight(&self) -> usize {
        self.said().bytes
    }

    pub(super) fn push(&self, frame: Frame) {
        {
            let mut said = self.said();
            if said.ended {
                return;
            }
            said.bytes += frame_text(&frame).len();
            if let Some(frame) = joined(said.frames.last_mut(), frame) {
                said.bytes += FRAME_BYTES;
                said.frames.push(frame);
            }
        }
        self.news.send_modify(|count| *count += 1);
    }

    /// Says that nothing follows.
    pub(super) fn end(&self) {
        self.said().ended = true;
        self.news.send_modify(|count| *count += 1);
    }

    /// Waits while the fastest of its readers is more than a window behind, so that a slow client slows its
    /// provider. Without readers it does not wait.
    pub(super) async fn keep_pace(&self) {
        let said = self.weight();
        let mut audience = self.audience.subscribe();
        // The sender lives as long as `self`, so the wait never fails.
        let _ = audience.wait_for(|a| a.readers == 0 || said.saturating_sub(a.taken) <= WINDOW_BYTES).await;
    }

    /// Waits until nobody has read along for [`RESUME_GRACE`].
    pub(super) async fn abandoned(&self) {
        let mut audience = self.audience.subscribe();
        loop {
            if audience.wait_for(|a| a.readers == 0).await.is_err() {
                return;
            }
            if tokio::time::timeout(RESUME_GRACE, audience.wait_for(|a| a.readers > 0)).await.is_err() {
                return;
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a turn from its first frame on.
pub struct Reader {
    turn: std::sync::Arc<LiveTurn>,
    news: watch::Receiver<u64>,
    frame: usize,
    /// Bytes already taken of a chunk that may still grow.
    offset: usize,
    taken: usize,
}

impl Reader {
    /// A reader at the start of the turn. The turn counts as read along until the reader is dropped.
    #[must_use]
    pub fn new(turn: std::sync::Arc<LiveTurn>) -> Self {
        turn.audience.send_modify(|audience| audience.readers += 1);
        let news = turn.news.subscribe();
        Self { turn, news, frame: 0, offset: 0, taken: 0 }
    }

    /// The turn that is read.
    #[must_use]
    pub fn turn(&self) -> &std::sync::Arc<LiveTurn> {
        &self.turn
    }

    /// The next frame, joined with what followed it while nobody asked; none when the turn has ended. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            self.news.borrow_and_update();
            match self.take() {
                Some(frame) => return Some(frame),
                None if self.turn.said().ended => return self.take(),
                // The sender lives as long as the turn.
                None => self.news.changed().await.ok()?,
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let frame = self.advance()?;
        self.taken += frame_text(&frame).len() + FRAME_BYTES;
        let taken = self.taken;
        self.turn.audience.send_modify(|audience| audience.taken = audience.taken.max(taken));
        Some(frame)
    }

    fn advance(&mut self) -> Option<Frame> {
        let said = self.turn.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let frame = said.frames.get(self.frame)?;
            let Some(rest) = rest(frame, self.offset) else {
                // A chunk that is taken to its end: it may still grow while it is the last.
                if self.frame + 1 >= said.frames.len() {
                    return None;
                }
                self.frame += 1;
                self.offset = 0;
                continue;
            };
            if is_chunk(frame) {
                self.offset += frame_text(&rest).len();
            } else {
                self.frame += 1;
                self.offset = 0;
            }
            return Some(rest);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.turn.audience.send_modify(|audience| audience.readers -= 1);
    }
}

/// The text of a chunk; nothing of any other frame.
fn frame_text(frame: &Frame) -> &str {
    match frame {
        Frame::StreamChunk { content, .. } | Frame::ReasoningChunk { content, .. } => content,
        _ => "",
    }
}

fn is_chunk(frame: &Frame) -> bool {
    matches!(frame, Frame::StreamChunk { .. } | Frame::ReasoningChunk { .. })
}

/// Adds a chunk to the one before it, where they belong together; else gives the frame back.
fn joined(last: Option<&mut Frame>, frame: Frame) -> Option<Frame> {
    match (last, frame) {
        (
            Some(Frame::StreamChunk { message_id: one, content }),
            Frame::StreamChunk { message_id: two, content: more },
        ) if *one == two => {
            content.push_str(&more);
            None
        }
        (
            Some(Frame::ReasoningChunk { message_id: one, content }),
            Frame::ReasoningChunk { message_id: two, content: more },
        ) if *one == two => {
            content.push_str(&more);
            None
        }
        (_, frame) => Some(frame),
    }
}

/// What is left of a frame behind `offset`, at most [`CHUNK_BYTES`]; none of a chunk that is taken to its end.
fn rest(frame: &Frame, offset: usize) -> Option<Frame> {
    let rest = |content: &str| {
        let rest = content.get(offset..).filter(|rest| !rest.is_empty())?;
        rest.get(..rest.floor_char_boundary(CHUNK_BYTES)).map(str::to_owned)
    };
    match frame {
        Frame::StreamChunk { message_id, content } => {
            rest(content).map(|content| Frame::StreamChunk { message_id: *message_id, content })
        }
        Frame::ReasoningChunk { message_id, content } => {
            rest(content).map(|content| Frame::ReasoningChunk { message_id: *message_id, content })
        }
        frame => Some(frame.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn turn() -> Arc<LiveTurn> {
        Arc::new(LiveTurn::new(AgentId::generate(), MessageId::generate(), "caller".to_owned()))
    }

    fn chunk(turn: &LiveTurn, text: &str) -> Frame {
        Frame::StreamChunk { message_id: turn.input(), content: text.to_owned() }
    }

    async fn text(reader: &mut Reader) -> String {
        frame_text(&reader.next().await.unwrap()).to_owned()
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_gets_everything_from_the_start() {
        let turn = turn();
        let mut first = Reader::new(turn.clone());
        turn.push(chunk(&turn, "one "));
        assert_eq!(text(&mut first).await, "one ");
        turn.push(chunk(&turn, "two "));
        turn.push(chunk(&turn, "three"));
        assert_eq!(text(&mut first).await, "two three");
        turn.push(Frame::Pong);
        turn.push(chunk(&turn, "four"));
        turn.end();
        assert!(matches!(first.next().await, Some(Frame::Pong)));
        assert_eq!(text(&mut first).await, "four");
        assert!(first.next().await.is_none());

        let mut second = Reader::new(turn.clone());
        assert_eq!(text(&mut second).await, "one two three");
        assert!(matches!(second.next().await, Some(Frame::Pong)));
        assert_eq!(text(&mut second).await, "four");
        assert!(second.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_for_a_slow_reader_and_for_no_absent_one() {
        let turn = turn();
        turn.push(chunk(&turn, &"é".repeat(WINDOW_BYTES)));
        turn.keep_pace().await;
        let mut reader = Reader::new(turn.clone());
        assert!(tokio::time::timeout(Duration::from_secs(60), turn.keep_pace()).await.is_err());
        assert_eq!(text(&mut reader).await.len(), CHUNK_BYTES);
        turn.keep_pace().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_abandoned_after_its_grace_alone() {
        let turn = turn();
        let reader = Reader::new(turn.clone());
        assert!(tokio::time::timeout(RESUME_GRACE * 2, turn.abandoned()).await.is_err());
        drop(reader);
        let left = tokio::time::Instant::now();
        turn.abandoned().await;
        assert!(left.elapsed() >= RESUME_GRACE);
    }
}
