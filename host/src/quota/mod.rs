//! What agents may use: requests a minute, messages and tokens a month, bytes of files.
//!
//! What is used in a month is counted in the store, with each turn's seal, and bounded there ([`MonthLimits`]), so it is
//! exact whatever crashes. Requests are counted in memory: a restart forgets them, and each host counts its own.

mod rate;
mod strangers;

use std::collections::HashMap;
use std::sync::Arc;

use gavel_store::{AgentId, MonthLimits, UserId};

pub use rate::Standing;
pub use strangers::Strangers;

use crate::clock::now_ms;
use crate::config::{Config, FREE, Tier};
use rate::Rate;

/// What every agent may use, by its owner.
pub struct Quotas {
    free: Arc<Allowance>,
    named: HashMap<UserId, Arc<Allowance>>,
}

/// What each agent of a tier may use; none where there is no limit.
pub struct Allowance {
    /// The tier's name.
    pub tier: String,
    /// Messages and tokens in a month.
    pub month: MonthLimits,
    /// Bytes of files that are kept.
    pub storage_bytes: Option<u64>,
    rate: Option<Rate>,
}

impl Quotas {
    /// The quotas of a configuration that was checked.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut quotas = Self { free: Arc::new(Allowance::of(FREE, &Tier::default())), named: HashMap::new() };
        for (name, tier) in &config.tiers {
            let allowance = Arc::new(Allowance::of(name, tier));
            quotas.named.extend(tier.users.iter().map(|user| (user.clone(), allowance.clone())));
            if name == FREE {
                quotas.free = allowance;
            }
        }
        quotas
    }

    /// What each agent of this owner may use.
    #[must_use]
    pub fn of(&self, owner: &UserId) -> &Allowance {
        self.named.get(owner).unwrap_or(&self.free)
    }
}

impl Allowance {
    fn of(name: &str, tier: &Tier) -> Self {
        Self {
            tier: name.to_owned(),
            month: MonthLimits {
                messages: tier.messages_per_month,
                input_tokens: tier.input_tokens_per_month,
                output_tokens: tier.output_tokens_per_month,
            },
            storage_bytes: tier.storage_bytes,
            rate: tier.requests_per_minute.and_then(Rate::per_minute),
        }
    }

    /// Counts one request to an agent, and says how it stands then; none where requests are not limited.
    ///
    /// # Errors
    /// How it stands when the minute allows no more.
    pub fn count_request(&self, agent: &AgentId) -> Result<Option<Standing>, Standing> {
        self.rate.as_ref().map(|rate| rate.count(agent)).transpose()
    }
}

/// Whole seconds until a month that is used up ends; at least one.
#[must_use]
pub fn seconds_to_the_months_end() -> u64 {
    let now = now_ms();
    let left = gavel_store::Month::of(now).end().saturating_sub(now);
    u64::try_from(left).unwrap_or(0).div_ceil(1000).max(1)
}
