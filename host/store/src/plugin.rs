//! Which plugins are installed, and what providers are granted. What their manifests say is the caller's: this room knows no
//! plugins.

use std::collections::{BTreeMap, BTreeSet};

use gavel_log::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most versions that are known, listed or not. Beyond it those that were unlisted first are forgotten.
pub const MAX_PLUGIN_VERSIONS: u64 = 8192;

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// It judges.
    Policy,
    /// It speaks with models.
    Provider,
}

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginSource {
    /// The binary carries it.
    Bundled,
    /// A file in the watched directory.
    Directory,
    /// An administrator sent it.
    Upload,
    /// An OCI registry.
    Oci,
}

/// A version of a plugin. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// SHA-256 of its bytes: what it is known by.
    pub digest: Hash,
    /// The plugin's name.
    pub name: String,
    /// Its version, as its manifest has it.
    pub version: String,
    /// What it is.
    pub kind: PluginKind,
    /// Where it came from.
    pub source: PluginSource,
    /// What the source calls it: the file's name, or the registry's reference.
    pub reference: Option<String>,
    /// When it was installed, the last time.
    pub installed_at: i64,
    /// Whether a binding may find it.
    pub listed: bool,
    /// What is shown and asked of its manifest.
    pub manifest: Value,
    /// The short name of the key that signed it; none where nobody did.
    #[serde(default)]
    pub signed_by: Option<String>,
}

/// A change of what is installed, made as one.
#[derive(Clone, Debug, Default)]
pub struct PluginChange {
    /// Versions that are listed from now on; one that is known under its digest is replaced.
    pub list: Vec<PluginVersion>,
    /// Versions that are no longer.
    pub unlist: Vec<Hash>,
}

/// What an operator granted the providers of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginGrant {
    /// Origins that they may call.
    pub origins: BTreeSet<String>,
    /// Headers that may carry a key, each with the form of its value.
    pub credentials: BTreeSet<(String, String)>,
}

/// All that is kept of plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptPlugins {
    /// Counts the changes.
    pub generation: u64,
    /// Every version that is known.
    pub versions: Vec<PluginVersion>,
    /// What was granted, by name.
    pub grants: BTreeMap<String, PluginGrant>,
}
