//! Checkpoints: places in a session to go back to.

use gavel_store::{AgentId, CheckpointDraft, CheckpointId, Seed, SessionCheckpoint, StoreError};

use super::{AgentError, Agents};
use crate::clock::now_ms;

impl Agents {
    /// Makes a checkpoint of an agent's session as it stands. Under a seed it is made once: again it gives the one that was
    /// made of it.
    ///
    /// # Errors
    /// When the agent was never started, or the store fails.
    pub async fn make_checkpoint(&self, agent: &AgentId, seed: Option<Seed>) -> Result<SessionCheckpoint, AgentError> {
        let id = seed.map_or_else(CheckpointId::generate, Seed::checkpoint);
        let draft = CheckpointDraft { id, now: now_ms() };
        let checkpoint = self.store.create_checkpoint(agent, draft).await?;
        tracing::info!(%agent, checkpoint = %checkpoint.id, "checkpoint made");
        Ok(checkpoint)
    }

    /// The checkpoint of an agent, where it exists.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn checkpoint(&self, agent: &AgentId, id: &CheckpointId) -> Result<Option<SessionCheckpoint>, AgentError> {
        Ok(self.store.session_checkpoint(agent, id)?)
    }

    /// At most `limit` of an agent's checkpoints, oldest first, from the one behind `after` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn checkpoints(
        &self,
        agent: &AgentId,
        after: Option<&CheckpointId>,
        limit: usize,
    ) -> Result<Vec<SessionCheckpoint>, AgentError> {
        Ok(self.store.session_checkpoints(agent, after, limit)?)
    }

    /// Takes a stopped agent back to a checkpoint: it goes on from there when it is started.
    ///
    /// # Errors
    /// When there is no such checkpoint, the agent runs, its session has been restored too often, or the store fails.
    pub async fn restore(&self, agent: &AgentId, id: &CheckpointId) -> Result<SessionCheckpoint, AgentError> {
        let _alone = self.alone(*agent).await;
        let restored = self.store.restore_checkpoint(agent, id, now_ms()).await;
        let checkpoint = restored.map_err(|error| match error {
            StoreError::TooLarge { .. } => AgentError::RestoredTooOften,
            error => error.into(),
        })?;
        self.turns.forget(&checkpoint.session_id);
        tracing::info!(%agent, checkpoint = %checkpoint.id, "agent taken back to a checkpoint");
        Ok(checkpoint)
    }
}
