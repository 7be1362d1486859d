//! The configuration: what may be set, its defaults and its bounds. [`load`] reads it.

mod auth;
mod binding;
mod check;
mod load;
mod providers;
mod registries;
mod tiers;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use gavel_log::record::Mode;
use serde::{Deserialize, Serialize};

pub use auth::{AdminClaim, AuthConfig, OidcConfig};
pub use binding::{BindingSpec, ReleaseSpec};
pub use check::is_secure;
pub use load::{ConfigError, Overrides, load};
pub use providers::{CredentialConfig, ProviderConfig};
pub use registries::{OciConfig, RegistryLogin, TrustConfig};
pub use tiers::{FREE, Tier};

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where health and metrics listen, for the operator alone.
    pub admin_listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// A filter such as `info` or `gavel=debug,warn`; `RUST_LOG` replaces it.
    pub log_level: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Traces.
    pub telemetry: TelemetryConfig,
    /// The transparency log.
    pub log: LogConfig,
    /// Bounds of one agent; tiers override them.
    pub limits: Limits,
    /// What the tiers allow, by name.
    #[serde(deserialize_with = "tiers::with_free")]
    pub tiers: BTreeMap<String, Tier>,
    /// Who is let in besides local users.
    pub auth: AuthConfig,
    /// Modes and bindings.
    pub governance: Governance,
    /// What is kept of texts.
    pub privacy: Privacy,
    /// The database.
    pub store: StoreConfig,
    /// Policies and providers as components.
    pub plugins: PluginsConfig,
    /// What an agent's `model_provider` may name.
    #[serde(deserialize_with = "providers::with_bundled")]
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Where uploads are kept.
    pub files: FilesConfig,
    /// The master key.
    pub vault: VaultConfig,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// Traces for OpenTelemetry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// A collector that takes OTLP over HTTP, without `/v1/traces`; none for that of `OTEL_EXPORTER_OTLP_ENDPOINT`, if it is set.
    pub otlp_endpoint: Option<url::Url>,
    /// The share of traces that are sent, 0 to 1, of those that a caller has not decided upon.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

/// The transparency log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The C2SP origin line. It is kept from the first start on; another one is refused later.
    pub origin: Option<String>,
    /// The verification portal that proofs name.
    pub portal: String,
    /// The witnesses that are asked to cosign.
    pub witnesses: Vec<WitnessConfig>,
}

/// One witness.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it is asked.
    pub url: url::Url,
    /// Its verifier key.
    pub key: String,
}

/// Bounds of one agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most bytes of one message's text.
    pub message_bytes: usize,
    /// Most bytes of one answer; then it ends with `length`.
    pub output_bytes: usize,
    /// Most milliseconds to connect to a provider.
    pub upstream_connect_ms: u64,
    /// Most milliseconds to a provider's first byte.
    pub upstream_first_byte_ms: u64,
    /// Most milliseconds between two bytes of a provider.
    pub upstream_idle_ms: u64,
    /// What happens in enforcing mode to what no policy can judge.
    pub unjudged: Unjudged,
    /// Most bytes of one uploaded file.
    pub file_bytes: u64,
}

/// What happens in enforcing mode to images and files that no policy can judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unjudged {
    /// They are refused.
    #[default]
    Refuse,
    /// They pass, and the record counts them.
    Allow,
}

/// Modes and bindings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Governance {
    /// No agent may be laxer; also the mode of an agent that names none.
    pub minimum_mode: Mode,
    /// The bindings of an agent that names none.
    pub default_policies: Vec<BindingSpec>,
    /// Bound to every agent and always enforced.
    pub mandatory_policies: Vec<BindingSpec>,
}

/// What is kept of texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// Which results keep an opening.
    pub openings: Openings,
    /// Days that openings are kept; 0 for as long as the messages.
    pub retention_days: u32,
}

/// Which results keep an opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Openings {
    /// All of them.
    #[default]
    All,
    /// Those that at least one policy judged.
    JudgedOnly,
    /// None: nothing can be replayed.
    None,
}

/// The database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// MiB of pages held in memory.
    pub cache_mib: usize,
}

/// Policies and providers as components.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Whether `plugins/*.wasm` in the data directory is followed as it changes.
    pub watch: bool,
    /// A policy's milliseconds for one evaluation.
    pub evaluate_ms: u64,
    /// A policy's MiB of memory.
    pub memory_mib: usize,
    /// Most instances of policies at once. A turn takes two for each of its agent's policies.
    pub policy_instances: u32,
    /// Most instances of providers at once. A turn takes one.
    pub provider_instances: u32,
    /// MiB of machine code of policies as they are after `configure`, held in memory. What does not fit is configured for
    /// each evaluation.
    pub snapshots_mib: usize,
    /// MiB of compiled plugins on disk. What was used longest ago is removed, and compiled again when it is needed.
    pub cache_mib: u64,
    /// Where compiled plugins are kept between starts; none for `code/` in the data directory. Servers with the same
    /// master key may share it.
    pub cache_dir: Option<PathBuf>,
    /// Registries that plugins are pulled from.
    pub oci: OciConfig,
    /// Whose plugins are accepted.
    pub trust: TrustConfig,
}

/// Where uploads are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// An object store's URL; none for `files/` in the data directory.
    pub url: Option<url::Url>,
}

/// The master key. `GAVEL_VAULT_KEY` in the environment comes before it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// A private file that holds it: 32 bytes as base64.
    pub key_file: Option<PathBuf>,
}

impl Config {
    /// Where machine code of plugins is kept between starts.
    #[must_use]
    pub fn code_cache_dir(&self) -> PathBuf {
        self.plugins.cache_dir.clone().unwrap_or_else(|| self.data_dir.join("code"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9787)),
            data_dir: PathBuf::from("./gavel-data"),
            log_level: "info".to_owned(),
            log_format: LogFormat::default(),
            telemetry: TelemetryConfig::default(),
            log: LogConfig::default(),
            limits: Limits::default(),
            tiers: tiers::default(),
            auth: AuthConfig::default(),
            governance: Governance::default(),
            privacy: Privacy::default(),
            store: StoreConfig::default(),
            plugins: PluginsConfig::default(),
            providers: providers::bundled(),
            files: FilesConfig::default(),
            vault: VaultConfig::default(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { origin: None, portal: "https://obligationsign.com/verify/".to_owned(), witnesses: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 * 1024,
            output_bytes: 1024 * 1024,
            upstream_connect_ms: 5_000,
            upstream_first_byte_ms: 60_000,
            upstream_idle_ms: 60_000,
            unjudged: Unjudged::default(),
            file_bytes: 100 * 1024 * 1024,
        }
    }
}

impl Default for Governance {
    fn default() -> Self {
        Self {
            minimum_mode: Mode::Transparent,
            default_policies: vec![BindingSpec::of("pii"), BindingSpec::of("secrets")],
            mandatory_policies: Vec::new(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { cache_mib: 64 }
    }
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            watch: true,
            evaluate_ms: 50,
            memory_mib: 64,
            policy_instances: 512,
            provider_instances: 256,
            snapshots_mib: 512,
            cache_mib: 2048,
            cache_dir: None,
            oci: OciConfig::default(),
            trust: TrustConfig::default(),
        }
    }
}
