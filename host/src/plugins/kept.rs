//! A cache whose entries are bounded by their bytes together: what was used longest ago goes first.

use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

pub(super) struct Kept<K: Hash + Eq, V> {
    limit: usize,
    entries: Mutex<Entries<K, V>>,
}

struct Entries<K: Hash + Eq, V> {
    by_use: LruCache<K, (V, usize)>,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> Kept<K, V> {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, entries: Mutex::new(Entries { by_use: LruCache::unbounded(), bytes: 0 }) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        // Every change is whole before anything can panic.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_use.get(key).map(|(value, _)| value.clone())
    }

    /// Lets go of the entries whose keys are like this.
    pub(super) fn forget(&self, gone: impl Fn(&K) -> bool)
    where
        K: Clone,
    {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<K> = entries.by_use.iter().map(|(key, _)| key).filter(|key| gone(key)).cloned().collect();
        for key in keys {
            if let Some((_, bytes)) = entries.by_use.pop(&key) {
                entries.bytes -= bytes;
            }
        }
    }

    /// Keeps `value`, which takes about so many bytes, unless one is there already; gives the one that is kept.
    pub(super) fn keep(&self, key: K, value: V, bytes: usize) -> V {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((there, _)) = entries.by_use.get(&key) {
            return there.clone();
        }
        entries.by_use.put(key, (value.clone(), bytes));
        entries.bytes += bytes;
        while entries.bytes > self.limit {
            let Some((_, (_, bytes))) = entries.by_use.pop_lru() else { break };
            entries.bytes -= bytes;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_when_there_are_too_many_bytes() {
        let kept = Kept::new(100);
        kept.keep("a", 1, 40);
        kept.keep("b", 2, 40);
        assert_eq!(kept.get(&"a"), Some(1));
        kept.keep("c", 3, 40);
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (Some(1), None, Some(3)));
        kept.keep("large", 4, 101);
        assert_eq!((kept.get(&"a"), kept.get(&"large")), (None, None));
        kept.keep("d", 5, 100);
        assert_eq!(kept.get(&"d"), Some(5), "what is gone takes no room");
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let kept = Kept::new(100);
        kept.keep("a", 1, 60);
        kept.keep("b", 2, 40);
        kept.forget(|key| *key == "a");
        kept.keep("c", 3, 60);
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (None, Some(2), Some(3)));
    }

    #[test]
    fn the_first_of_two_stays() {
        let kept = Kept::new(100);
        assert_eq!(kept.keep("a", 1, 60), 1);
        assert_eq!(kept.keep("a", 2, 60), 1);
        assert_eq!(kept.get(&"a"), Some(1));
    }
}
