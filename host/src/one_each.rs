//! What there is one of for each of something, an agent for instance, for as long as someone holds it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Entries that may stand unused before the unused ones are let go of.
const UNUSED: usize = 64;

/// One `T` for each `K` that it is held for.
pub struct OneEach<K, T>(Mutex<Held<K, T>>);

struct Held<K, T> {
    known: HashMap<K, Weak<T>>,
    /// So many of them are looked through.
    crowded: usize,
}

impl<K, T> Default for OneEach<K, T> {
    fn default() -> Self {
        Self(Mutex::new(Held { known: HashMap::new(), crowded: UNUSED }))
    }
}

impl<K: Copy + Eq + Hash, T: Default> OneEach<K, T> {
    /// The one of this key, made where nobody holds it.
    pub fn of(&self, key: K) -> Arc<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.known.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        if held.known.len() >= held.crowded {
            held.known.retain(|_, known| known.strong_count() > 0);
            held.crowded = held.known.len() * 2 + UNUSED;
        }
        let new = Arc::default();
        held.known.insert(key, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_while_it_is_held_and_unused_ones_do_not_add_up() {
        let all = OneEach::<usize, Mutex<u32>>::default();
        let held = all.of(0);
        for key in 1..10 * UNUSED {
            drop(all.of(key));
        }
        assert!(Arc::ptr_eq(&held, &all.of(0)));
        assert!(all.0.lock().unwrap().known.len() <= 2 + UNUSED);
        *held.lock().unwrap() = 7;
        drop(held);
        assert_eq!(*all.of(0).lock().unwrap(), 0);
    }
}
