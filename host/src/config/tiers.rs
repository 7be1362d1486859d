//! Tiers: what agents may use, by who owns them.

use std::collections::{BTreeMap, BTreeSet};

use gavel_store::UserId;
use serde::{Deserialize, Deserializer, Serialize};

use super::check::{OutOfBounds, within};

/// The tier of whoever is named in none.
pub const FREE: &str = "free";

/// What one tier allows each agent of its users. What it does not name has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tier {
    /// Whose agents are in it; whoever is named in none is in `free`.
    pub users: Vec<UserId>,
    /// Most requests in a minute.
    pub requests_per_minute: Option<u32>,
    /// Most messages in a calendar month.
    pub messages_per_month: Option<u64>,
    /// Most tokens of prompts in a calendar month, as providers count them.
    pub input_tokens_per_month: Option<u64>,
    /// Most tokens of answers, likewise.
    pub output_tokens_per_month: Option<u64>,
    /// Most bytes of files that are kept.
    pub storage_bytes: Option<u64>,
}

/// The tiers of an installation that names none.
pub(super) fn default() -> BTreeMap<String, Tier> {
    let free = Tier { requests_per_minute: Some(60), messages_per_month: Some(10_000), ..Tier::default() };
    BTreeMap::from([(FREE.to_owned(), free)])
}

/// Reads `[tiers.*]`; `free` is there whether or not it is named.
pub(super) fn with_free<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, Tier>, D::Error> {
    let mut tiers = default();
    tiers.extend(BTreeMap::<String, Tier>::deserialize(input)?);
    Ok(tiers)
}

/// Checks the bounds, and that each user is in one tier.
pub(super) fn check(tiers: &BTreeMap<String, Tier>) -> Result<(), OutOfBounds> {
    let mut named = BTreeSet::new();
    for (name, tier) in tiers {
        if let Some(requests) = tier.requests_per_minute {
            within(&format!("tiers.{name}.requests_per_minute"), requests.into(), 1..=1_000_000)?;
        }
        if let Some(twice) = tier.users.iter().find(|user| !named.insert(*user)) {
            let detail = format!("{twice} is named twice: a user is in one tier");
            return Err(OutOfBounds { key: format!("tiers.{name}.users"), detail });
        }
    }
    Ok(())
}
