//! What there is one of for each agent, for as long as someone holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gavel_store::AgentId;

/// Entries that may stand unused before the unused ones are let go of.
const UNUSED: usize = 64;

/// One `T` for each agent that it is held for.
pub(super) struct PerAgent<T>(Mutex<Held<T>>);

struct Held<T> {
    agents: HashMap<AgentId, Weak<T>>,
    /// So many of them are looked through.
    crowded: usize,
}

impl<T> Default for PerAgent<T> {
    fn default() -> Self {
        Self(Mutex::new(Held { agents: HashMap::new(), crowded: UNUSED }))
    }
}

impl<T: Default> PerAgent<T> {
    /// The agent's, made where nobody holds it.
    pub(super) fn of(&self, agent: AgentId) -> Arc<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.agents.get(&agent).and_then(Weak::upgrade) {
            return known;
        }
        if held.agents.len() >= held.crowded {
            held.agents.retain(|_, known| known.strong_count() > 0);
            held.crowded = held.agents.len() * 2 + UNUSED;
        }
        let new = Arc::default();
        held.agents.insert(agent, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_one_while_it_is_held_and_unused_ones_do_not_add_up() {
        let all = PerAgent::<Mutex<u32>>::default();
        let agent = AgentId::generate();
        let held = all.of(agent);
        for _ in 0..10 * UNUSED {
            drop(all.of(AgentId::generate()));
        }
        assert!(Arc::ptr_eq(&held, &all.of(agent)));
        assert!(all.0.lock().unwrap().agents.len() <= 2 + UNUSED);
        *held.lock().unwrap() = 7;
        drop(held);
        assert_eq!(*all.of(agent).lock().unwrap(), 0);
    }
}
