//! Turns that were left open get their output record: by a crash, before requests are accepted, and by a failure, as
//! soon as the store can take it.

use gavel_log::record::{Engine, Mode};
use gavel_store::{AgentId, MessageId, OpenTurn, OutputSeal, TurnEnd};
use serde::{Deserialize, Serialize};

use super::seal::RecordFrame;
use super::{TurnError, Turns};
use crate::clock;

/// How a turn ended that was left open, as its row says.
const INTERRUPTED: &str = "interrupted";

/// What the store keeps of an open turn, so that its output can be recorded without it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unfinished {
    mode: Mode,
    engine: Engine,
    model: String,
    provider: String,
}

impl Unfinished {
    pub(super) fn of(record: &RecordFrame) -> Self {
        Self {
            mode: record.mode,
            engine: record.engine.clone(),
            model: record.model.clone(),
            provider: record.provider.clone(),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, TurnError> {
        serde_json::to_vec(self).map_err(|_| TurnError::Damaged("an open turn cannot be written"))
    }
}

impl Turns {
    /// Seals an output record for every turn that a crash left open, and says how many there were.
    ///
    /// # Errors
    /// If the store cannot be read or written, or an open turn is damaged.
    pub async fn recover(&self) -> Result<usize, TurnError> {
        let open = self.store.open_turns()?;
        for turn in &open {
            self.interrupt(turn).await?;
        }
        Ok(open.len())
    }

    /// Seals an output record for the turn of this input, if it was left open, and says whether it was. Not to be called
    /// for one that still runs.
    ///
    /// # Errors
    /// As for [`recover`](Self::recover).
    pub async fn close(&self, agent: &AgentId, input: &MessageId) -> Result<bool, TurnError> {
        let open = self.store.open_turns()?;
        match open.iter().find(|turn| (turn.agent, turn.input) == (*agent, *input)) {
            Some(turn) => self.interrupt(turn).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn interrupt(&self, turn: &OpenTurn) -> Result<(), TurnError> {
        let unfinished: Unfinished =
            serde_json::from_slice(&turn.data).map_err(|_| TurnError::Damaged("an open turn is damaged"))?;
        let agent = self.store.agent(&turn.agent)?.ok_or(TurnError::Damaged("an open turn's agent is gone"))?;
        let session = self.store.session(&turn.session)?.ok_or(TurnError::Damaged("an open turn's session is gone"))?;
        let record = RecordFrame {
            agent: turn.agent,
            session: turn.session,
            key: self.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?,
            openings: self.options.openings,
            mode: unfinished.mode,
            engine: unfinished.engine,
            model: unfinished.model,
            provider: unfinished.provider,
            metrics: self.metrics.clone(),
        };
        let seal = OutputSeal {
            agent: turn.agent,
            session: turn.session,
            turn: turn.turn,
            also: Vec::new(),
            leaf: record.interrupted(turn.answer)?,
            answer: None,
            end: TurnEnd {
                finish_reason: INTERRUPTED.into(),
                usage: gavel_store::Usage::default(),
                at: clock::now_ms(),
            },
        };
        self.store.seal_output(seal).await?;
        Ok(())
    }
}
