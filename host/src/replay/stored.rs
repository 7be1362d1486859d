//! Replays of what an installation has stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use gavel_log::judged::Stage;
use gavel_log::record::{DecisionKind, Engine, Outcome as StageOutcome};
use gavel_log::{Hash, Record, RecordError, ReplayParts, record_hash};
use gavel_sandbox::policy::PolicyComponent;
use gavel_store::{AgentId, LeafRow, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::{Material, Parts, Replayed, replay};
use crate::plugins::Plugins;
use crate::turn::{Opening, OpeningError, engine};
use crate::vault::{Vault, VaultError};

/// Why a leaf could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log has no such leaf.
    #[error("the log has no leaf {}", .0.tagged())]
    NoLeaf(Hash),
    /// The store cannot be read.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// A key does not open.
    #[error("the vault failed: {0}")]
    Vault(#[from] VaultError),
    /// The stored opening does not open.
    #[error("the opening: {0}")]
    Opening(#[from] OpeningError),
    /// The stored record is damaged.
    #[error("the record: {0}")]
    Record(#[from] RecordError),
}

/// A leaf whose verdicts were computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayedLeaf {
    /// `sha256:<hex>`.
    pub leaf_hash: String,
    /// Its index in the log.
    pub leaf_index: u64,
    /// The agent.
    pub agent: AgentId,
    /// The stage.
    pub stage: Stage,
    /// What the enforcing bindings decided together.
    pub decision: DecisionKind,
    /// How the stage ended.
    pub outcome: StageOutcome,
    /// When.
    pub time: String,
    /// What came of it.
    pub replay: Replayed,
}

/// Computes stored verdicts again. Cheap to clone.
#[derive(Clone)]
pub struct Replays {
    store: Store,
    vault: Arc<Vault>,
    plugins: Arc<Plugins>,
    engine: Engine,
}

impl Replays {
    /// Replays of what this store holds.
    #[must_use]
    pub fn new(store: Store, vault: Arc<Vault>, plugins: Arc<Plugins>) -> Self {
        Self { engine: engine(plugins.policies.limits_digest()), store, vault, plugins }
    }

    /// Computes the verdicts of the leaf with this hash again.
    ///
    /// # Errors
    /// If there is no such leaf, or what is stored cannot be read. What is missing for a verdict is no error, but said of it.
    pub async fn leaf(&self, hash: &Hash) -> Result<ReplayedLeaf, ReplayError> {
        let leaf = self.store.leaf(hash)?.ok_or(ReplayError::NoLeaf(*hash))?;
        let record = Record::parse(&leaf.record)?;
        let material = self.material(&leaf, &record)?;
        // Not one that a turn could want.
        let _permit = self.plugins.policies.background().await;
        let replay = replay(&record, material.as_ref().map_err(|reason| *reason), self).await;
        Ok(ReplayedLeaf {
            leaf_hash: hash.tagged(),
            leaf_index: leaf.index,
            agent: leaf.agent,
            stage: record.stage,
            decision: record.decision,
            outcome: record.outcome,
            time: record.time,
            replay,
        })
    }

    /// What the leaf's opening holds, or in words why nothing opens it any more.
    fn material(&self, leaf: &LeafRow, record: &Record) -> Result<Result<Material, &'static str>, ReplayError> {
        let Some(sealed) = &leaf.opening else {
            return Ok(Err("its opening was not kept, or has been erased with its messages or its agent"));
        };
        let (Some(session), Some(agent)) = (self.store.session(&leaf.session)?, self.store.agent(&leaf.agent)?) else {
            return Ok(Err("its session or its agent has been erased, and with it the key of its opening"));
        };
        let key = self.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
        let opening = Opening::open(&key, &record_hash(&leaf.nonce, &leaf.record), sealed)?;
        Ok(Ok(Material {
            subject: opening.subject(),
            streamed: opening.streamed().cloned(),
            keys: opening.verdict_keys(record)?.into_iter().map(Some).collect(),
        }))
    }
}

/// What a proof brings along for a replay elsewhere. A configuration that is gone is left out.
///
/// # Errors
/// If the store cannot be read.
pub fn parts(store: &Store, record: &Record, opening: &Opening) -> Result<ReplayParts, StoreError> {
    let mut configs = BTreeMap::new();
    for digest in record.verdicts.iter().map(|verdict| verdict.config) {
        if let Some(json) = store.config(&digest)? {
            // It was canonical JSON when it was kept, and its digest is checked when it is read.
            configs.insert(digest, serde_json::from_str(&json).unwrap_or_default());
        }
    }
    Ok(ReplayParts { configs, streamed: opening.streamed().cloned() })
}

impl Parts for Replays {
    async fn component(&self, digest: &Hash) -> Result<Arc<PolicyComponent>, String> {
        self.plugins.component(digest).await.map_err(|error| format!("the component {}: {error}", digest.tagged()))
    }

    fn config(&self, digest: &Hash) -> Result<serde_json::Value, String> {
        let json = self.store.config(digest).map_err(|error| error.to_string())?;
        let json = json.ok_or_else(|| format!("the configuration {} was never stored", digest.tagged()))?;
        serde_json::from_str(&json).map_err(|error| format!("the configuration {}: {error}", digest.tagged()))
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }
}
