//! A policy's component: checked once, bound as often as wanted.

use std::sync::Arc;

use gavel_log::Hash;
use gavel_log::judged::Stage;

use super::bindings;
use super::bound::{BindError, BoundPolicy};
use super::instance::{CallError, Prepared, within};
use super::runtime::PolicyRuntime;
use super::wasi;

/// Most bytes of a component.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// Most bytes of a plugin's summary.
const SUMMARY_BYTES: usize = 512;

/// What a policy says of itself.
#[derive(Clone, Debug)]
pub struct PolicyManifest {
    /// Kebab-case.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The stages that it can judge.
    pub stages: Vec<Stage>,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
    /// Whether its subjects carry the conversation so far.
    pub needs_history: bool,
}

/// Why bytes are no policy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Over [`MAX_COMPONENT_BYTES`].
    #[error("the component has {0} bytes, more than the {MAX_COMPONENT_BYTES} allowed")]
    TooLarge(usize),
    /// Not a component that this engine compiles.
    #[error("not a WebAssembly component that can be compiled: {0}")]
    NotAComponent(String),
    /// It imports what a policy may not have.
    #[error("a policy has no capabilities, and this component imports {0}")]
    ForbiddenImport(String),
    /// It does not export the interface.
    #[error("the component does not export gavel:plugin/policy@0.1.0 as it is defined: {0}")]
    WrongWorld(String),
    /// `describe` failed.
    #[error("describe failed: {0}")]
    Describe(#[from] CallError),
    /// The manifest breaks a rule.
    #[error("the manifest is not valid: {0}")]
    Manifest(String),
    /// The configuration's schema is no usable JSON Schema of draft 2020-12.
    #[error("the manifest's config-schema is not valid: {0}")]
    Schema(String),
}

/// A loaded policy.
pub struct PolicyComponent {
    pub(super) runtime: Arc<PolicyRuntime>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) prepared: Prepared,
    pub(super) schema: jsonschema::Validator,
    /// SHA-256 of its bytes.
    pub digest: Hash,
    /// What it says of itself.
    pub manifest: PolicyManifest,
}

impl PolicyComponent {
    pub(super) async fn load(runtime: Arc<PolicyRuntime>, bytes: Arc<[u8]>) -> Result<Self, LoadError> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(LoadError::TooLarge(bytes.len()));
        }
        let digest = Hash::of(&bytes);
        let source = Arc::clone(&bytes);
        let compiled = runtime.compiler.compile(digest, move |_| Ok(source)).await;
        let component = compiled.map_err(|error| LoadError::NotAComponent(format!("{error:#}")))?;
        if let Some(import) = wasi::forbidden_import(&runtime.engine, &component) {
            return Err(LoadError::ForbiddenImport(import));
        }
        let prepared = Prepared::new(&runtime.engine, &component, runtime.printer.as_ref())
            .map_err(|error| LoadError::WrongWorld(format!("{error:#}")))?;
        let (manifest, schema) = describe(&runtime, &prepared).await?;
        Ok(Self { runtime, bytes, prepared, schema, digest, manifest })
    }

    /// Whether it can judge a text while it is being written.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.prepared.streams()
    }

    /// Binds it to a configuration: checked here, by the definition. Its snapshot is made in the background.
    ///
    /// # Errors
    /// If the configuration does not satisfy the policy's schema, or the policy refuses it or fails.
    pub async fn bind(self: &Arc<Self>, config: &serde_json::Value) -> Result<Arc<BoundPolicy>, BindError> {
        BoundPolicy::bind(Arc::clone(self), config).await
    }

    /// What runs it.
    #[must_use]
    pub fn runtime(&self) -> &PolicyRuntime {
        &self.runtime
    }

    /// Bytes of its machine code.
    pub(super) fn code_bytes(&self) -> usize {
        self.prepared.code_bytes()
    }

    /// Binds it without a snapshot: for what is asked by the definition.
    ///
    /// # Errors
    /// As of [`bind`](Self::bind).
    pub async fn bind_by_definition(
        self: &Arc<Self>,
        config: &serde_json::Value,
    ) -> Result<Arc<BoundPolicy>, BindError> {
        BoundPolicy::bind_by_definition(Arc::clone(self), config).await
    }
}

async fn describe(
    runtime: &PolicyRuntime,
    prepared: &Prepared,
) -> Result<(PolicyManifest, jsonschema::Validator), LoadError> {
    let _aside = runtime.aside().await;
    let limits = &runtime.limits;
    let mut live = prepared.instantiate(limits, &runtime.lane).await?;
    let place = live.place();
    let (guest, store) = live.policy(limits.evaluate_fuel(0)).map_err(CallError::from)?;
    let manifest = within(limits.deadline(0), &place, guest.call_describe(store)).await?;
    check_manifest(&manifest).map_err(LoadError::Manifest)?;
    let (config_schema, validator) = crate::schema::compile(&manifest.config_schema).map_err(LoadError::Schema)?;
    let manifest = PolicyManifest {
        name: manifest.name,
        version: manifest.version,
        summary: manifest.summary,
        stages: manifest.stages.into_iter().map(Into::into).collect(),
        config_schema,
        needs_history: manifest.needs_history,
    };
    Ok((manifest, validator))
}

fn check_manifest(manifest: &bindings::policy::Manifest) -> Result<(), String> {
    crate::check_plugin_name(&manifest.name)?;
    semver::Version::parse(&manifest.version).map_err(|error| format!("version {:?}: {error}", manifest.version))?;
    if manifest.summary.len() > SUMMARY_BYTES || manifest.summary.chars().any(char::is_control) {
        return Err("the summary is too long or has control characters".into());
    }
    if manifest.stages.is_empty() {
        return Err("it names no stage".into());
    }
    Ok(())
}
