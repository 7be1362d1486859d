//! What a policy's store carries: its memory limit and its sequence of "random" numbers.

use wasmtime::{ResourceLimiter, Result};

/// Where the sequence starts before every exported call.
const SEED: u64 = 0x6761_7665_6c2d_3031;

/// A guest asked for more memory or table than its limit.
#[derive(Debug, thiserror::Error)]
#[error("the policy asked for more than its {0} limit")]
pub(super) struct LimitExceeded(pub(super) &'static str);

/// The state of one policy instance on the host's side.
pub(super) struct Guest {
    memory_bytes: usize,
    table_elements: usize,
    random: u64,
}

impl Guest {
    pub(super) fn new(memory_bytes: usize, table_elements: usize) -> Self {
        Self { memory_bytes, table_elements, random: SEED }
    }

    /// Called before every exported call, so that no call depends on the ones before it.
    pub(super) fn reset(&mut self) {
        self.random = SEED;
    }

    /// SplitMix64: any fixed sequence will do, since it must only not differ.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > self.memory_bytes {
            return Err(LimitExceeded("memory").into());
        }
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > self.table_elements {
            return Err(LimitExceeded("table").into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_tables_grow_to_their_limits_and_no_further() {
        let mut guest = Guest::new(1 << 20, 100);
        assert!(guest.memory_growing(0, 1 << 20, None).unwrap() && guest.table_growing(0, 100, None).unwrap());
        assert!(guest.memory_growing(0, (1 << 20) + 1, None).unwrap_err().is::<LimitExceeded>());
        assert!(guest.table_growing(0, 101, None).unwrap_err().is::<LimitExceeded>());
    }
}
