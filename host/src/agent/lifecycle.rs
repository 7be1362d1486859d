//! Start and stop.

use std::time::Duration;

use gavel_store::{Agent, AgentId, CheckpointDraft, CheckpointId, SessionCheckpoint, SessionId, StartSession, Started};
use tokio::sync::OwnedMutexGuard;

use super::{AgentError, Agents};
use crate::clock::now_ms;

/// How long open turns may go on after a stop.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

impl Agents {
    /// The right to change an agent's life, held by one at a time: the store is atomic, but a stop waits for turns in
    /// between.
    pub(super) async fn alone(&self, agent: AgentId) -> OwnedMutexGuard<()> {
        self.lives.of(agent).lock_owned().await
    }

    /// Starts an agent in its last session, or in a new one. A running agent stays as it is.
    ///
    /// # Errors
    /// When a key does not open or the store fails.
    pub async fn start(&self, agent: &Agent, new_session: bool) -> Result<Started, AgentError> {
        let _alone = self.alone(agent.id).await;
        let session = SessionId::generate();
        let wrapped_key = self.vault.new_session_key(&agent.id, &agent.wrapped_data_key, &session)?;
        let start = StartSession { id: session, wrapped_key, force_new: new_session, now: now_ms() };
        let started = self.store.start_agent(&agent.id, start).await?;
        tracing::info!(agent = %agent.id, session = %started.session_id, "agent running");
        Ok(started)
    }

    /// Stops an agent: new turns are refused at once, open ones get [`STOP_GRACE`] and are then cancelled, and a
    /// checkpoint is made when the last has been sealed. It goes on when the caller goes away.
    ///
    /// # Errors
    /// When the store fails, or the agent was never started.
    pub async fn stop(&self, agent: &AgentId) -> Result<SessionCheckpoint, AgentError> {
        let (agents, agent) = (self.clone(), *agent);
        let stopping = self.tasks.spawn(async move { agents.stop_alone(agent).await });
        stopping.await.map_err(|_| AgentError::BrokenOff)?
    }

    async fn stop_alone(&self, agent: AgentId) -> Result<SessionCheckpoint, AgentError> {
        let _alone = self.alone(agent).await;
        // Held until the store says `stopped`: no turn begins in between.
        let _closed = self.open_turns.close(agent, STOP_GRACE).await;
        let draft = CheckpointDraft { id: CheckpointId::generate(), now: now_ms() };
        let checkpoint = self.store.stop_agent(&agent, draft).await?;
        tracing::info!(%agent, checkpoint = %checkpoint.id, "agent stopped");
        Ok(checkpoint)
    }
}
