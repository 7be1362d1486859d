//! What a provider may use.

use std::time::Duration;

/// Bounds of one provider runtime, the same for each of its chats.
#[derive(Clone, Debug)]
pub struct ProviderLimits {
    /// Longest time to resolve, connect and shake hands with an origin.
    pub connect: Duration,
    /// Longest time from sending a request to its response's header.
    pub first_byte: Duration,
    /// Longest silence inside a response's body while the provider waits for it.
    pub idle: Duration,
    /// Longest duration of a whole chat, retries included.
    pub chat: Duration,
    /// Most time that one chat may compute, waits not counted.
    pub compute: Duration,
    /// Most bytes of each linear memory of an instance.
    pub memory_bytes: usize,
    /// Most chats at once.
    pub max_instances: u32,
    /// Most bytes of a request's body.
    pub request_bytes: usize,
    /// Most bytes of all response bodies of one attempt.
    pub response_bytes: u64,
    /// Most bytes of one delta.
    pub delta_bytes: usize,
    /// Most further attempts after one that failed before its first delta.
    pub retries: u32,
    /// The first pause between attempts; each further one is twice as long, each with up to as much jitter.
    pub backoff: Duration,
}

impl Default for ProviderLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            chat: Duration::from_secs(600),
            compute: Duration::from_secs(30),
            memory_bytes: 64 << 20,
            max_instances: 256,
            request_bytes: 32 << 20,
            response_bytes: 64 << 20,
            delta_bytes: 256 << 10,
            retries: 2,
            backoff: Duration::from_millis(200),
        }
    }
}

/// Longest time for `describe` and for the trial run of `configure`.
pub(super) const TRIAL: Duration = Duration::from_secs(5);
/// Instances set aside for `describe` and trial runs, beyond those of chats.
pub(super) const TRIAL_INSTANCES: u32 = 8;
/// Most bytes that one call hands from the guest to the host: a delta, a piece of a body, a list of models.
pub(super) const HOSTCALL_BYTES: usize = 1 << 20;
/// Most bytes of a component.
pub(super) const COMPONENT_BYTES: usize = 64 << 20;
/// Most bytes of a request's or a response's header section.
pub(super) const HEADER_BYTES: usize = 64 << 10;
/// Most requests that one attempt sends.
pub(super) const REQUESTS: u32 = 16;
/// Most host resources (headers, bodies, streams, pollables) that a guest holds at once.
pub(super) const RESOURCES: usize = 256;
/// Most elements of a guest's table.
pub(super) const TABLE_ELEMENTS: usize = 20_000;
/// Deltas that wait for their reader.
pub(super) const DELTAS_WAITING: usize = 16;
/// A provider that asks to be tried again later than this is reported instead.
pub(super) const SHORT_RETRY_AFTER: Duration = Duration::from_secs(1);
