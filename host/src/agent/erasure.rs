//! Deleting messages and agents. The key is destroyed first, which is one small write; the rows are removed behind it.

use std::time::Duration;

use gavel_store::{AgentId, AgentState, CheckpointDraft, CheckpointId, Erasure, Missing, StoreError};

use super::lifecycle::STOP_GRACE;
use super::{AgentError, Agents};
use crate::clock::now_ms;

/// Deletions whose rows are looked for at once.
const ERASURES: usize = 256;
/// How long after a failure the rest is tried again.
const RETRY: Duration = Duration::from_secs(60);

impl Agents {
    /// Clears the agent's current session, and gives the number of messages that it had. The log's entries stay, and say
    /// nothing of them any more. Turns that are under way go on, and nothing of them is kept.
    ///
    /// # Errors
    /// When a key does not open or the store fails.
    pub async fn clear(&self, id: &AgentId) -> Result<u64, AgentError> {
        let _alone = self.alone(*id).await;
        let agent = self.store.agent(id)?.ok_or(StoreError::NotFound(Missing::Agent(*id)))?;
        let Some(session) = agent.session else { return Ok(0) };
        let key = self.vault.new_session_key(id, &agent.wrapped_data_key, &session)?;
        let cleared = self.store.clear_session(id, &session, key).await?;
        self.turns.forget(&session);
        self.open_turns.forget(*id);
        self.rows_left.notify_one();
        tracing::info!(agent = %id, %session, cleared, "messages deleted");
        Ok(cleared)
    }

    /// Deletes an agent: new turns are refused at once, open ones get [`STOP_GRACE`] and are then cancelled, its sockets are
    /// closed, and its keys destroyed. It goes on when the caller goes away.
    ///
    /// # Errors
    /// When a turn does not end even so, or the store fails.
    pub async fn delete(&self, id: &AgentId) -> Result<(), AgentError> {
        let (agents, id) = (self.clone(), *id);
        let deleting = self.tasks.spawn(async move { agents.delete_alone(id).await });
        deleting.await.map_err(|_| AgentError::BrokenOff)?
    }

    async fn delete_alone(&self, id: AgentId) -> Result<(), AgentError> {
        let _alone = self.alone(id).await;
        let _closed = self.open_turns.close(id, STOP_GRACE).await;
        let agent = self.store.agent(&id)?.ok_or(StoreError::NotFound(Missing::Agent(id)))?;
        if agent.state == AgentState::Running {
            let draft = CheckpointDraft { id: CheckpointId::generate(), now: now_ms() };
            self.store.stop_agent(&id, draft).await?;
        }
        self.store.delete_agent(&id).await?;
        if let Some(session) = &agent.session {
            self.turns.forget(session);
        }
        self.open_turns.forget(id);
        self.ends.of(id).cancel();
        self.rows_left.notify_one();
        tracing::info!(agent = %id, "agent deleted");
        Ok(())
    }

    /// Removes in the background what deletions leave, those before the last start first.
    pub fn erase_in_background(&self) {
        let agents = self.clone();
        self.tasks.spawn(async move {
            let closing = agents.tasks.closing().clone();
            closing.run_until_cancelled(agents.erase_forever()).await;
        });
    }

    async fn erase_forever(&self) {
        loop {
            match self.erase_all().await {
                Ok(()) => self.rows_left.notified().await,
                Err(error) => {
                    tracing::error!(%error, "what a deletion left could not be removed; it is tried again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Removes all that is left. What fails does not stop the rest.
    async fn erase_all(&self) -> Result<(), AgentError> {
        loop {
            let left = self.store.erasures(ERASURES)?;
            if left.is_empty() {
                return Ok(());
            }
            let mut failed = None;
            for erasure in left {
                if let Err(error) = self.erase(erasure).await {
                    failed = Some(error);
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    async fn erase(&self, erasure: Erasure) -> Result<(), AgentError> {
        if let Erasure::Agent(agent) = erasure {
            self.files.forget_agent(agent).await?;
        }
        while self.store.erase(erasure).await? {}
        tracing::debug!(agent = %erasure.agent(), "what a deletion left is removed");
        Ok(())
    }
}
