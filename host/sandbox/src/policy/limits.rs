//! What one policy may use, and why an endless or greedy one hurts only its own verdict.

use std::time::Duration;

use gavel_log::Hash;
use serde::Serialize;

/// Fuel that stands for a nominal millisecond of computation.
const FUEL_PER_MS: u64 = 1_000_000;
/// Fuel for each byte of text judged: a nominal microsecond.
const FUEL_PER_BYTE: u64 = 1_000;
/// `configure` compiles tables and warms up, so it gets this many evaluations' worth.
const CONFIGURE_EVALUATIONS: u64 = 40;
/// The deadline is a back-stop for what fuel does not count, this many times wider.
const DEADLINE_FACTOR: u32 = 10;

/// The limits of a policy. Their digest stands in each record, since fuel, memory and sizes decide verdicts.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyLimits {
    /// Nominal milliseconds of one evaluation, whatever the text's length.
    pub evaluate_ms: u64,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Bytes of the guest's stack.
    pub stack_bytes: usize,
    /// Bytes that one call may hand to the host.
    pub result_bytes: usize,
    /// Whether fuel is counted. Without it only the deadline ends an endless loop, and its verdict depends on time.
    pub metered: bool,
    /// Policy instances alive at once. Not part of the digest: it decides when, never what.
    #[serde(skip)]
    pub max_instances: u32,
    /// Bytes of machine code of all snapshots. Not part of the digest either: a verdict is the same without a snapshot.
    #[serde(skip)]
    pub snapshot_bytes: usize,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            evaluate_ms: 50,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            stack_bytes: 512 << 10,
            result_bytes: 1 << 20,
            metered: true,
            max_instances: 512,
            snapshot_bytes: 512 << 20,
        }
    }
}

impl PolicyLimits {
    /// SHA-256 of the limits' canonical JSON, with the rates that fuel is computed by.
    #[must_use]
    pub fn digest(&self) -> Hash {
        #[derive(Serialize)]
        struct Digested<'a> {
            #[serde(flatten)]
            limits: &'a PolicyLimits,
            fuel_per_ms: u64,
            fuel_per_byte: u64,
            configure_evaluations: u64,
        }
        let digested = Digested {
            limits: self,
            fuel_per_ms: FUEL_PER_MS,
            fuel_per_byte: FUEL_PER_BYTE,
            configure_evaluations: CONFIGURE_EVALUATIONS,
        };
        // Integers and fixed names only: canonical JSON cannot fail on them.
        gavel_log::jcs::to_string(&digested).map_or(Hash::ZERO, |json| Hash::of(json.as_bytes()))
    }

    /// Fuel for judging `bytes` of text in one call.
    pub(crate) fn evaluate_fuel(&self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.evaluate_ms.saturating_mul(FUEL_PER_MS).saturating_add(bytes.saturating_mul(FUEL_PER_BYTE))
    }

    /// Fuel for `configure`.
    pub(crate) fn configure_fuel(&self) -> u64 {
        self.evaluate_fuel(0).saturating_mul(CONFIGURE_EVALUATIONS)
    }

    /// Wall-clock time for judging `bytes` of text in one call.
    pub(crate) fn deadline(&self, bytes: usize) -> Duration {
        Duration::from_millis(self.evaluate_fuel(bytes) / FUEL_PER_MS + 1) * DEADLINE_FACTOR
    }

    /// Wall-clock time for `configure`.
    pub(crate) fn configure_deadline(&self) -> Duration {
        Duration::from_millis(self.configure_fuel() / FUEL_PER_MS + 1) * DEADLINE_FACTOR
    }
}
