//! Machine code of single functions: what differs from something compiled before in its data or in a few functions alone
//! is compiled in a fraction of the time. Above all these are the snapshots of one policy under many configurations.
//!
//! It is held in memory alone, by the one engine that made it, so nothing of it has to be trusted.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use wasmtime::CacheStore;

/// What the compiler made of functions, by what they are. Beyond its bound, those used longest ago go.
#[derive(Debug)]
pub(crate) struct FunctionCache {
    /// Most bytes of all keys and values.
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    functions: LruCache<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl FunctionCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::new(Kept { functions: LruCache::unbounded(), bytes: 0 }) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic between the change of the one and of the other leaves a wrong count, and no wrong code.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.kept().functions.get(key).map(|code| Cow::Owned(code.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let bytes = key.len() + value.len();
        if bytes > self.limit {
            return false;
        }
        let mut kept = self.kept();
        kept.bytes += bytes;
        if let Some((key, old)) = kept.functions.push(key.to_vec(), value) {
            kept.bytes = kept.bytes.saturating_sub(key.len() + old.len());
        }
        while kept.bytes > self.limit {
            let Some((key, old)) = kept.functions.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(key.len() + old.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = FunctionCache::new(30);
        for key in [b"a", b"b", b"c"] {
            assert!(cache.insert(key, vec![key[0]; 9]));
        }
        assert_eq!(cache.get(b"a").as_deref(), Some(&[b'a'; 9][..]));
        assert!(cache.insert(b"d", vec![b'd'; 9]));
        assert_eq!(cache.get(b"b"), None);
        assert!(cache.insert(b"a", vec![b'A'; 1]), "the same function again");
        assert_eq!(cache.kept().bytes, 10 + 10 + 2);
        assert!(!cache.insert(b"e", vec![0; 30]), "more than there is room for");
        assert_eq!(cache.get(b"a").as_deref(), Some(&b"A"[..]));
        assert_eq!(cache.get(b"c").as_deref(), Some(&[b'c'; 9][..]));
    }
}
