//! Sessions: an agent's conversations, and which of their turns are still history.

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::id::{AgentId, SessionId};
use crate::leaf::within;
use crate::row::hex_bytes;

/// Most stretches of turns that restores may leave behind in one session.
pub(crate) const MAX_ABANDONED: usize = 256;

/// One conversation of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The agent that it belongs to.
    pub agent_id: AgentId,
    /// The key of its texts and openings, wrapped by the agent's data key.
    #[serde(with = "hex_bytes")]
    pub wrapped_key: Vec<u8>,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Turns begun so far; the first turn of a session is number 1.
    pub turns: u64,
    /// Messages in its history.
    pub messages: u64,
    /// How often its history was cleared or restored: a turn that read it before cannot begin any more.
    pub epoch: u64,
    /// What was cleared of it.
    pub(crate) cleared: Cleared,
    /// The turns that restores have left behind.
    pub(crate) abandoned: Abandoned,
}

/// How far a session was cleared. What lies below is under a key that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cleared {
    /// The turns up to this number have no messages any more.
    pub(crate) turns: u64,
    /// The session's leaves below this index have no opening any more.
    pub(crate) leaves: u64,
}

/// Stretches of turns, each from its first to its last, in order and with turns between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Abandoned(Vec<(u64, u64)>);

impl Session {
    /// A session in which nothing was said.
    #[must_use]
    pub fn new(id: SessionId, agent_id: AgentId, wrapped_key: Vec<u8>, created_at: i64) -> Self {
        Self {
            id,
            agent_id,
            wrapped_key,
            created_at,
            turns: 0,
            messages: 0,
            epoch: 0,
            cleared: Cleared::default(),
            abandoned: Abandoned::default(),
        }
    }

    /// The stretches of turns behind number `after` that are history, in order; the last has no end.
    pub(crate) fn history(&self, after: u64) -> Vec<(u64, u64)> {
        self.abandoned.between(after.max(self.cleared.turns).saturating_add(1))
    }
}

impl Abandoned {
    /// These and the turns from `first` to `last`, which come after all of them.
    pub(crate) fn and(mut self, first: u64, last: u64) -> Result<Self, StoreError> {
        match self.0.last_mut() {
            _ if first > last => {}
            Some((_, end)) if *end + 1 >= first => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
        within("the list of what restores left behind", self.0.len(), MAX_ABANDONED)?;
        Ok(self)
    }

    /// What lies between them from turn `next` on.
    fn between(&self, mut next: u64) -> Vec<(u64, u64)> {
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for &(first, last) in &self.0 {
            if next < first {
                kept.push((next, first - 1));
            }
            next = next.max(last.saturating_add(1));
        }
        kept.push((next, u64::MAX));
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_follows_without_a_gap_is_one_stretch() {
        let abandoned = Abandoned::default().and(3, 5).unwrap().and(6, 5).unwrap().and(6, 8).unwrap();
        assert_eq!(abandoned, Abandoned(vec![(3, 8)]));
        assert_eq!(abandoned.and(10, 10).unwrap().between(1), [(1, 2), (9, 9), (11, u64::MAX)]);
    }

    #[test]
    fn stretches_are_bounded() {
        let mut abandoned = Abandoned::default();
        for turn in 0..MAX_ABANDONED as u64 {
            abandoned = abandoned.and(turn * 2, turn * 2).unwrap();
        }
        assert!(matches!(abandoned.and(10_000, 10_000), Err(StoreError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn each_turn_is_history_or_abandoned(
            steps in prop::collection::vec((1..4_u64, 0..4_u64), 0..12),
            after in 0..50_u64,
            cleared in 0..50_u64,
        ) {
            let mut session = Session::new(SessionId::from_key(1), AgentId::from_key(2), Vec::new(), 0);
            session.cleared.turns = cleared;
            let (mut gone, mut at) = (BTreeSet::new(), 1);
            for (gap, length) in steps {
                let first = at + gap;
                session.abandoned = session.abandoned.and(first, first + length).unwrap();
                gone.extend(first..=first + length);
                at = first + length;
            }
            let history = session.history(after);
            for turn in 1..120 {
                let kept = history.iter().filter(|(first, last)| (*first..=*last).contains(&turn)).count();
                let expected = turn > after && turn > cleared && !gone.contains(&turn);
                prop_assert_eq!(kept, usize::from(expected), "turn {}", turn);
            }
            prop_assert!(history.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
