//! The bounds that types alone do not hold.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use gavel_log::record::MAX_POLICIES;

use super::{BindingSpec, Config, FilesConfig, tiers};

/// No deadline is longer: what waits longer has failed.
const MAX_WAIT_MS: u64 = 3_600_000;

/// One key whose value is out of bounds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {detail}")]
pub struct OutOfBounds {
    pub(super) key: String,
    pub(super) detail: String,
}

impl Config {
    /// Checks what the types alone do not hold.
    ///
    /// # Errors
    /// The first key that is out of bounds.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let limits = &self.limits;
        within("limits.message_bytes", limits.message_bytes as u64, 1..=16 << 20)?;
        within("limits.output_bytes", limits.output_bytes as u64, 1..=64 << 20)?;
        within("limits.upstream_connect_ms", limits.upstream_connect_ms, 1..=MAX_WAIT_MS)?;
        within("limits.upstream_first_byte_ms", limits.upstream_first_byte_ms, 1..=MAX_WAIT_MS)?;
        within("limits.upstream_idle_ms", limits.upstream_idle_ms, 1..=MAX_WAIT_MS)?;
        // A bucket takes 10,000 parts of 8 MiB.
        within("limits.file_bytes", limits.file_bytes, 1..=64 << 30)?;
        self.files.check()?;
        within("plugins.evaluate_ms", self.plugins.evaluate_ms, 1..=60_000)?;
        within("plugins.memory_mib", self.plugins.memory_mib as u64, 1..=4096)?;
        // Two for each policy of an agent with as many as it may have: else its turns would be busy for ever.
        within("plugins.policy_instances", self.plugins.policy_instances.into(), 2 * MAX_POLICIES as u64..=8192)?;
        within("plugins.provider_instances", self.plugins.provider_instances.into(), 1..=8192)?;
        within("store.cache_mib", self.store.cache_mib as u64, 1..=1 << 20)?;
        tiers::check(&self.tiers)?;
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            let detail = format!("{} is not in 0 to 1", self.telemetry.sample_ratio);
            return Err(OutOfBounds { key: "telemetry.sample_ratio".to_owned(), detail });
        }
        bindings("governance.default_policies", &self.governance.default_policies)?;
        bindings("governance.mandatory_policies", &self.governance.mandatory_policies)?;
        if let Some(origin) = &self.log.origin {
            gavel_log::Origin::parse(origin)
                .map_err(|error| OutOfBounds { key: "log.origin".to_owned(), detail: error.to_string() })?;
        }
        Ok(())
    }
}

impl FilesConfig {
    fn check(&self) -> Result<(), OutOfBounds> {
        let named = |url: &url::Url| url.scheme() == "s3" && url.host_str().is_some_and(|bucket| !bucket.is_empty());
        match &self.url {
            Some(url) if !named(url) => {
                let detail = "is not of the form s3://bucket or s3://bucket/prefix".to_owned();
                Err(OutOfBounds { key: "files.url".to_owned(), detail })
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn within(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<(), OutOfBounds> {
    if range.contains(&value) {
        return Ok(());
    }
    let detail = format!("{value} is not in {} to {}", range.start(), range.end());
    Err(OutOfBounds { key: key.to_owned(), detail })
}

fn bindings(key: &str, bindings: &[BindingSpec]) -> Result<(), OutOfBounds> {
    let problem = |detail: String| OutOfBounds { key: key.to_owned(), detail };
    if bindings.len() > MAX_POLICIES {
        return Err(problem(format!("more than {MAX_POLICIES} policies")));
    }
    let mut seen = BTreeSet::new();
    match bindings.iter().find(|binding| !seen.insert(binding.policy.as_str())) {
        Some(twice) => Err(problem(format!("{} is named twice", twice.policy))),
        None => Ok(()),
    }
}
