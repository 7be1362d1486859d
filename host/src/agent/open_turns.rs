//! The turns that are open on every agent: who may begin one, who may come back to one, and who waits for them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_store::{AgentId, MessageId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::live::{LiveTurn, RESUME_GRACE};

/// Most bytes that ended turns may hold for clients who come back; the oldest go first.
const ENDED_BYTES: usize = 64 << 20;
/// Most ended turns that are held for clients who come back.
const ENDED_TURNS: usize = 4096;
/// How long cancelled turns may take to seal their last record.
const SEAL_GRACE: Duration = Duration::from_secs(5);

type Key = (AgentId, MessageId);

/// Every open turn of the server, and those that ended a moment ago.
#[derive(Default)]
pub struct OpenTurns {
    state: Mutex<State>,
    /// Counts the ends, to wake those who wait for them.
    ends: watch::Sender<u64>,
}

/// Invariants: a turn stands in `turns` under its input's id, and under its answer's once that is known, from its
/// claim until it leaves `ended`; `open` counts the claims that have not ended, and holds no zero.
#[derive(Default)]
struct State {
    turns: HashMap<Key, Arc<LiveTurn>>,
    open: HashMap<AgentId, usize>,
    closed: HashSet<AgentId>,
    draining: bool,
    ended: VecDeque<Ended>,
    ended_bytes: usize,
}

struct Ended {
    turn: Arc<LiveTurn>,
    answer: Option<MessageId>,
    bytes: usize,
    until: Instant,
}

/// What came of the wish to begin a turn.
pub enum Claim {
    /// It may begin.
    New(OpenTurn),
    /// A turn with this message's id is there already.
    Existing(Arc<LiveTurn>),
    /// The agent is being stopped.
    Closed,
    /// The server is going down.
    Draining,
}

/// The right to run one turn. Dropping it ends the turn.
pub struct OpenTurn {
    turns: Arc<OpenTurns>,
    live: Arc<LiveTurn>,
    answer: Option<MessageId>,
    keep: bool,
}

/// Keeps an agent closed to new turns until it is dropped.
pub struct Closed {
    turns: Arc<OpenTurns>,
    agent: AgentId,
}

impl OpenTurns {
    /// Asks to begin a turn.
    #[must_use]
    pub fn claim(self: &Arc<Self>, agent: AgentId, input: MessageId, caller: String) -> Claim {
        let mut state = self.state();
        state.forget_old(Instant::now());
        if let Some(turn) = state.turns.get(&(agent, input)) {
            return Claim::Existing(turn.clone());
        }
        if state.draining {
            return Claim::Draining;
        }
        if state.closed.contains(&agent) {
            return Claim::Closed;
        }
        let live = Arc::new(LiveTurn::new(agent, input, caller));
        state.turns.insert((agent, input), live.clone());
        *state.open.entry(agent).or_default() += 1;
        Claim::New(OpenTurn { turns: self.clone(), live, answer: None, keep: false })
    }

    /// The turn that a message of either side belongs to, while it is open or may be resumed.
    #[must_use]
    pub fn find(&self, agent: AgentId, message: MessageId) -> Option<Arc<LiveTurn>> {
        let mut state = self.state();
        state.forget_old(Instant::now());
        state.turns.get(&(agent, message)).cloned()
    }

    /// Lets go of what an agent's turns have said: those that ended cannot be resumed any more, and those that are open
    /// will not be.
    pub fn forget(&self, agent: AgentId) {
        let mut state = self.state();
        let state = &mut *state;
        for turn in state.turns.values().filter(|turn| turn.agent() == agent) {
            turn.forget();
        }
        state.turns.retain(|(of, _), turn| *of != agent || !turn.has_ended());
        state.ended.retain(|ended| ended.turn.agent() != agent);
        state.ended_bytes = state.ended.iter().map(|ended| ended.bytes).sum();
    }

    /// How many turns are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().open.values().sum()
    }

    /// Closes an agent to new turns, and waits for its open ones: `grace` long, then they are cancelled.
    pub async fn close(self: &Arc<Self>, agent: AgentId, grace: Duration) -> Closed {
        self.state().closed.insert(agent);
        let closed = Closed { turns: self.clone(), agent };
        self.wait_for_end(Some(agent), grace).await;
        closed
    }

    /// Refuses new turns for good, and waits for the open ones: `grace` long, then they are cancelled.
    pub async fn drain(&self, grace: Duration) {
        self.state().draining = true;
        self.wait_for_end(None, grace).await;
    }

    async fn wait_for_end(&self, agent: Option<AgentId>, grace: Duration) {
        if timeout(grace, self.all_ended(agent)).await.is_ok() {
            return;
        }
        for turn in self.state().turns.values().filter(|turn| agent.is_none_or(|agent| turn.agent() == agent)) {
            turn.cancel();
        }
        if timeout(SEAL_GRACE, self.all_ended(agent)).await.is_err() {
            tracing::error!("a cancelled turn did not end in time");
        }
    }

    async fn all_ended(&self, agent: Option<AgentId>) {
        let mut ends = self.ends.subscribe();
        loop {
            ends.borrow_and_update();
            let open = match agent {
                Some(agent) => self.state().open.contains_key(&agent),
                None => !self.state().open.is_empty(),
            };
            if !open || ends.changed().await.is_err() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets go of what no one may resume any more.
    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.ended.front() {
            let crowded = self.ended.len() > ENDED_TURNS || self.ended_bytes > ENDED_BYTES;
            if !crowded && oldest.until > now {
                return;
            }
            if let Some(ended) = self.ended.pop_front() {
                self.ended_bytes -= ended.bytes;
                self.forget(&ended.turn, ended.answer);
            }
        }
    }

    fn forget(&mut self, turn: &LiveTurn, answer: Option<MessageId>) {
        for message in [Some(turn.input()), answer].into_iter().flatten() {
            self.turns.remove(&(turn.agent(), message));
        }
    }
}

impl OpenTurn {
    /// What its client sees.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveTurn> {
        &self.live
    }

    /// The turn has begun: it can be found by its answer's id too, and resumed for a while after its end.
    pub fn begun(&mut self, answer: MessageId) {
        self.answer = Some(answer);
        self.keep = true;
        self.turns.state().turns.insert((self.live.agent(), answer), self.live.clone());
    }
}

impl Drop for OpenTurn {
    fn drop(&mut self) {
        self.live.end();
        let agent = self.live.agent();
        {
            let mut state = self.turns.state();
            if let Some(open) = state.open.get_mut(&agent) {
                *open -= 1;
                if *open == 0 {
                    state.open.remove(&agent);
                }
            }
            if self.keep && !self.live.is_forgotten() {
                let bytes = self.live.weight();
                let until = Instant::now() + RESUME_GRACE;
                state.ended_bytes += bytes;
                state.ended.push_back(Ended { turn: self.live.clone(), answer: self.answer, bytes, until });
            } else {
                state.forget(&self.live, self.answer);
            }
        }
        self.turns.ends.send_modify(|count| *count += 1);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.turns.state().closed.remove(&self.agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(turns: &Arc<OpenTurns>, agent: AgentId) -> OpenTurn {
        match turns.claim(agent, MessageId::generate(), "caller".to_owned()) {
            Claim::New(turn) => turn,
            _ => panic!("refused"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_found_by_either_id_until_its_time_is_up() {
        let turns = Arc::<OpenTurns>::default();
        let agent = AgentId::generate();
        let mut turn = begin(&turns, agent);
        let (input, answer) = (turn.live().input(), MessageId::generate());
        turn.begun(answer);
        assert!(matches!(turns.claim(agent, input, "caller".to_owned()), Claim::Existing(_)));
        drop(turn);
        assert_eq!(turns.count(), 0);
        assert!(turns.find(agent, input).is_some_and(|turn| turn.has_ended()));
        assert!(turns.find(agent, answer).is_some());
        assert!(turns.find(AgentId::generate(), input).is_none());
        tokio::time::advance(RESUME_GRACE).await;
        assert!(turns.find(agent, input).is_none());
        assert!(turns.find(agent, answer).is_none());
    }

    #[tokio::test]
    async fn a_turn_that_never_began_leaves_nothing_behind() {
        let turns = Arc::<OpenTurns>::default();
        let agent = AgentId::generate();
        let input = begin(&turns, agent).live().input();
        assert!(turns.find(agent, input).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_agent_takes_no_turn_and_cancels_those_that_outlast_its_grace() {
        let turns = Arc::<OpenTurns>::default();
        let (agent, other) = (AgentId::generate(), AgentId::generate());
        let turn = begin(&turns, agent);
        let stays = begin(&turns, other);
        let closing = tokio::spawn({
            let turns = turns.clone();
            async move { turns.close(agent, Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;
        assert!(matches!(turns.claim(agent, MessageId::generate(), String::new()), Claim::Closed));
        turn.live().cancelled().cancelled().await;
        assert!(!stays.live().cancelled().is_cancelled());
        drop(turn);
        drop(closing.await.unwrap());
        drop(begin(&turns, agent));
    }

    #[tokio::test]
    async fn a_draining_server_takes_no_turn() {
        let turns = Arc::<OpenTurns>::default();
        turns.drain(Duration::from_secs(10)).await;
        assert!(matches!(turns.claim(AgentId::generate(), MessageId::generate(), String::new()), Claim::Draining));
    }
}
