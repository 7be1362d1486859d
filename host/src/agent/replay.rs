//! The outcome of a turn that ended long ago, as its client is shown it again.

use gavel_store::{Agent, Store, TurnRow};

use super::conversation::ReplayError;
use crate::turn::{Frame, Usage};
use crate::vault::Vault;

/// The frames of a stored turn: its start, the text that passed, its end. The governance results are in the log.
pub(super) fn stored_outcome(
    store: &Store,
    vault: &Vault,
    agent: &Agent,
    row: &TurnRow,
) -> Result<Vec<Frame>, ReplayError> {
    let (Some(finish_reason), Some(usage)) = (&row.finish_reason, row.usage) else {
        return Err(ReplayError::Open);
    };
    let mut frames = vec![Frame::StreamStart { message_id: row.answer, role: "assistant", in_reply_to: row.input }];
    if let Some(content) = answer_text(store, vault, agent, row)?.filter(|content| !content.is_empty()) {
        frames.push(Frame::StreamChunk { message_id: row.answer, content });
    }
    frames.push(Frame::StreamEnd {
        message_id: row.answer,
        finish_reason: finish_reason.clone(),
        usage: Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens },
    });
    Ok(frames)
}

fn answer_text(store: &Store, vault: &Vault, agent: &Agent, row: &TurnRow) -> Result<Option<String>, ReplayError> {
    let Some(answer) = store.message(&row.agent, &row.answer)? else { return Ok(None) };
    if answer.content.is_empty() {
        return Ok(None);
    }
    let Some(session) = store.session(&row.session)? else {
        return Ok(None);
    };
    let key = vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
    let text = key.open(row.answer.to_string().as_bytes(), &answer.content)?;
    Ok(Some(String::from_utf8(text.to_vec())?))
}
