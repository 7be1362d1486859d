//! Plugins as people see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_store::{PluginGrant, PluginKind, PluginSource};
use serde::Serialize;
use serde_json::Value;

use super::catalogue::{Catalogue, Standing, Version, of_plugin};
use super::directory::RefusedFile;
use super::{PluginError, Plugins, grants};

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// It serves whoever follows its name or pins it.
    Serving,
    /// It asks for more than is granted, and waits for an administrator.
    Pending,
    /// It cannot serve.
    Refused,
}

impl PluginState {
    /// Its name in the API and in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Pending => "pending",
            Self::Refused => "refused",
        }
    }
}

/// A version, or a file that gives none, as a list of them shows it.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Its name; of a file that never was a plugin the file's own.
    pub name: String,
    /// What it is, where that is known.
    pub kind: Option<PluginKind>,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// SHA-256 of its bytes, where they could be read.
    pub digest: Option<Hash>,
    /// Where it came from.
    pub source: PluginSource,
    /// What the source calls it.
    pub reference: Option<String>,
    /// How it stands.
    pub state: PluginState,
    /// One sentence.
    pub summary: Option<String>,
    /// The stages that a policy can judge.
    pub stages: Vec<Stage>,
    /// Why it cannot serve.
    pub error: Option<String>,
    /// When it was installed, in milliseconds since the Unix epoch.
    pub installed_at: Option<i64>,
    /// The short name of the key that signed it.
    pub signed_by: Option<String>,
}

/// A plugin with what a list leaves out.
#[derive(Clone, Debug)]
pub struct PluginDetail {
    /// The version that serves; where none does, the newest.
    pub status: PluginStatus,
    /// JSON Schema of its configuration.
    pub config_schema: Option<Value>,
    /// What a provider asks for, and what is granted to its name.
    pub grants: Option<(PluginGrant, PluginGrant)>,
}

impl Plugins {
    /// Of each plugin the version that serves and the newer ones that do not, and the files that were refused.
    #[must_use]
    pub fn list(&self) -> Vec<PluginStatus> {
        let catalogue = self.catalogue();
        let mut list = Vec::new();
        for versions in catalogue.names() {
            for version in versions {
                let status = status(&catalogue, version);
                let serves = status.state == PluginState::Serving;
                list.push(status);
                if serves {
                    break;
                }
            }
        }
        list.extend(self.refused_files(&catalogue));
        list.sort_by(|a, b| (&a.name, a.state).cmp(&(&b.name, b.state)));
        list
    }

    /// The listed versions of a plugin, the newest first; none where there is no such plugin.
    #[must_use]
    pub fn versions(&self, name: &str) -> Option<Vec<PluginStatus>> {
        let catalogue = self.catalogue();
        let versions: Vec<_> = catalogue.versions_of(name).map(|version| status(&catalogue, version)).collect();
        (!versions.is_empty()).then_some(versions)
    }

    /// A plugin with what a list leaves out; none where there is no such plugin.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub async fn show(&self, name: &str) -> Result<Option<PluginDetail>, PluginError> {
        let catalogue = self.catalogue();
        let serves = |version: &&Arc<Version>| catalogue.standing(version) == Standing::Serving;
        let serving = catalogue.versions_of(name).find(serves);
        let Some(version) = serving.or_else(|| catalogue.versions_of(name).next()) else {
            let refused = self.refused_files(&catalogue).find(|status| status.name == name);
            return Ok(refused.map(|status| PluginDetail { status, config_schema: None, grants: None }));
        };
        let config_schema = match version.kind {
            PluginKind::Policy => self.components.policy(&version.digest).await?.manifest.config_schema.clone(),
            PluginKind::Provider => {
                let bytes = self.components.bytes(version.digest).await?;
                let loaded = self.providers.load(&bytes).await;
                let loaded = loaded.map_err(|source| PluginError::Provider { name: name.to_owned(), source })?;
                loaded.manifest().config_schema.clone()
            }
        };
        let grants = version.about.asks.as_ref().map(|asks| {
            let configs = || of_plugin(&self.configured, name);
            (grants::asked(asks, configs()), catalogue.granted(name).whole(configs()))
        });
        Ok(Some(PluginDetail { status: status(&catalogue, version), config_schema: Some(config_schema), grants }))
    }

    /// How many versions are in each state.
    #[must_use]
    pub fn count(&self) -> BTreeMap<(Option<PluginKind>, PluginState), usize> {
        let catalogue = self.catalogue();
        let mut count = BTreeMap::new();
        let versions = catalogue.versions().map(|version| status(&catalogue, version));
        for status in versions.chain(self.refused_files(&catalogue)) {
            *count.entry((status.kind, status.state)).or_default() += 1;
        }
        count
    }

    /// A version that is listed.
    pub(super) fn status_of(&self, digest: &Hash) -> Option<PluginStatus> {
        let catalogue = self.catalogue();
        catalogue.version(digest).map(|version| status(&catalogue, version))
    }

    fn refused_files(&self, catalogue: &Catalogue) -> impl Iterator<Item = PluginStatus> {
        self.directory.refused().into_iter().map(|refused| refused_file(catalogue, refused))
    }
}

fn status(catalogue: &Catalogue, version: &Version) -> PluginStatus {
    let (state, error) = match catalogue.standing(version) {
        Standing::Serving => (PluginState::Serving, None),
        Standing::Pending => (PluginState::Pending, None),
        Standing::Refused(why) => (PluginState::Refused, Some(why)),
    };
    PluginStatus {
        name: version.name.clone(),
        kind: Some(version.kind),
        version: Some(version.version.to_string()),
        digest: Some(version.digest),
        source: version.source,
        reference: version.reference.clone(),
        state,
        summary: Some(version.about.summary.clone()),
        stages: version.about.stages.clone(),
        error,
        installed_at: Some(version.installed_at),
        signed_by: version.signed_by.clone(),
    }
}

/// A file that was refused goes by the name of what it gave before.
fn refused_file(catalogue: &Catalogue, refused: RefusedFile) -> PluginStatus {
    let before = catalogue.versions().find(|version| version.is_from_file(&refused.file));
    let stem = refused.file.strip_suffix(".wasm").unwrap_or(&refused.file);
    PluginStatus {
        name: before.map_or_else(|| stem.to_owned(), |version| version.name.clone()),
        kind: before.map(|version| version.kind),
        version: None,
        digest: refused.digest,
        source: PluginSource::Directory,
        state: PluginState::Refused,
        summary: None,
        stages: Vec::new(),
        error: Some(refused.error),
        installed_at: None,
        signed_by: None,
        reference: Some(refused.file),
    }
}
