//! The bounds that types alone do not hold.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use gavel_log::record::{Enforcement, MAX_POLICIES};
use gavel_sandbox::provider::{CredentialGrant, Origin};
use url::{Host, Url};

use super::{BindingSpec, Config, FilesConfig, OidcConfig, ProviderConfig, tiers};

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
        self.plugins.oci.check()?;
        self.plugins.trust.check()?;
        within("plugins.snapshots_mib", self.plugins.snapshots_mib as u64, 0..=1 << 20)?;
        within("plugins.cache_mib", self.plugins.cache_mib, 0..=1 << 30)?;
        within("store.cache_mib", self.store.cache_mib as u64, 1..=1 << 20)?;
        tiers::check(&self.tiers)?;
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            let detail = format!("{} is not in 0 to 1", self.telemetry.sample_ratio);
            return Err(OutOfBounds { key: "telemetry.sample_ratio".to_owned(), detail });
        }
        bindings("governance.default_policies", &self.governance.default_policies)?;
        bindings("governance.mandatory_policies", &self.governance.mandatory_policies)?;
        enforced("governance.mandatory_policies", &self.governance.mandatory_policies)?;
        self.providers.iter().try_for_each(|(name, provider)| provider.check(name))?;
        if let Some(oidc) = &self.auth.oidc {
            oidc.check()?;
        }
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

impl ProviderConfig {
    fn check(&self, name: &str) -> Result<(), OutOfBounds> {
        let fault = |key: &str, detail: String| OutOfBounds { key: format!("providers.{name}.{key}"), detail };
        for origin in &self.origins {
            origin.parse::<Origin>().map_err(|error| fault("origins", format!("{origin}: {error}")))?;
        }
        if let Some(credential) = &self.credential {
            CredentialGrant::new(&credential.header, &credential.format, false)
                .map_err(|error| fault("credential", error.to_string()))?;
        }
        Ok(())
    }
}

impl OidcConfig {
    fn check(&self) -> Result<(), OutOfBounds> {
        let fault =
            |key: &str, detail: &str| OutOfBounds { key: format!("auth.oidc.{key}"), detail: detail.to_owned() };
        let insecure = "must be an https URL, or an http one on this machine";
        if !self.issuer.parse().is_ok_and(|issuer| is_secure(&issuer)) {
            return Err(fault("issuer", insecure));
        }
        if self.audience.is_empty() {
            return Err(fault("audience", "must name an audience"));
        }
        if self.jwks_url.as_ref().is_some_and(|url| !is_secure(url)) {
            return Err(fault("jwks_url", insecure));
        }
        match &self.admin_claim {
            Some(admin) if admin.claim.is_empty() || admin.value.is_empty() => {
                Err(fault("admin_claim", "must name a claim and its value"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether nobody on the way can change what is fetched: TLS, or no way at all.
#[must_use]
pub fn is_secure(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
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
    // Two versions of one policy would give an agent two verdicts under one name.
    match bindings.iter().find(|binding| !seen.insert(binding.name())) {
        Some(twice) => Err(problem(format!("{} is bound twice", twice.name()))),
        None => Ok(()),
    }
}

/// A mandatory binding is one that is obeyed.
fn enforced(key: &str, bindings: &[BindingSpec]) -> Result<(), OutOfBounds> {
    let problem = |detail: String| OutOfBounds { key: key.to_owned(), detail };
    let lax = |binding: &&BindingSpec| binding.enforcement == Enforcement::Observe;
    if let Some(binding) = bindings.iter().find(lax) {
        return Err(problem(format!("{} is mandatory, so it cannot be one that only observes", binding.policy)));
    }
    match bindings.iter().find(|binding| binding.stages.as_ref().is_some_and(Vec::is_empty)) {
        Some(binding) => Err(problem(format!("{} is mandatory, and names no stage", binding.policy))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for (url, secure) in [
            ("https://id.example/keys", true),
            ("http://127.0.0.1:9/keys", true),
            ("http://[::1]/keys", true),
            ("http://localhost/keys", true),
            ("http://id.example/keys", false),
            ("http://localhost.id.example/keys", false),
            ("http://10.0.0.1/keys", false),
            ("file:///etc/keys", false),
        ] {
            assert_eq!(is_secure(&url.parse().unwrap()), secure, "{url}");
        }
    }
}
