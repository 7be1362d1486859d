//! Writing turns: the hot path.

use gavel_log::Hash;
use redb::ReadableTable;
use serde::Deserialize;

use super::agents::{read_head, read_session, write_head, write_session};
use super::batch::Batch;
use super::job::Staged;
use super::leaves::{Subject, add_leaf};
use crate::agent::AgentState;
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, MessageId, SessionId};
use crate::leaf::{LeafDraft, LeafPlace, Sealed};
use crate::message::{MessageDraft, MessageRow, TurnPart};
use crate::row;
use crate::tables::{self, MessageKey};
use crate::turn::{BLOCKED, InputFate, InputSeal, InputSealed, OutputSeal, OutputSealed, TurnRow, TurnState, Usage};

/// Seals an input, which begins its turn.
pub(crate) fn seal_input(batch: &mut Batch<'_>, seal: &InputSeal) -> Result<Staged<InputSealed>, StoreError> {
    let of = Subject { agent: seal.agent, session: seal.session };
    let mut head = read_head(batch, seal.agent)?;
    let mut session = read_session(batch, seal.agent, seal.session)?;
    if head.state != AgentState::Running {
        return Err(StoreError::AgentNotRunning(seal.agent));
    }
    if head.session != Some(seal.session) {
        return Err(StoreError::SessionEnded(seal.session));
    }
    for id in [seal.input, seal.answer] {
        if place_of(batch, seal.agent, id)?.is_some() {
            return Err(StoreError::DuplicateMessage(id));
        }
    }
    let judged =
        seal.earlier.iter().map(|draft| judged_message(batch, seal.agent, draft)).collect::<Result<Vec<_>, _>>()?;

    session.turns += 1;
    session.messages += 1;
    let turn = session.turns;
    let mut earlier = Vec::with_capacity(seal.earlier.len());
    for (draft, message) in seal.earlier.iter().zip(judged) {
        let place = add_leaf(batch, &mut head, of, draft)?;
        if let Some(message) = message {
            change_message(batch, message, |row| row.leaf_hashes.push(place.hash))?;
        }
        earlier.push(place);
    }
    let leaf = add_leaf(batch, &mut head, of, &seal.leaf)?;
    write_head(batch, seal.agent, &head)?;
    write_session(batch, &session)?;
    begin_turn(batch, seal, turn, leaf)?;
    Ok(Staged::Changed(Box::new(move |committed| InputSealed {
        turn,
        earlier: earlier.into_iter().map(|place| committed.seal(place)).collect(),
        sealed: committed.seal(leaf),
    })))
}

fn begin_turn(batch: &mut Batch<'_>, seal: &InputSeal, turn: u64, leaf: LeafPlace) -> Result<(), StoreError> {
    let key = (seal.session.key(), turn);
    let (state, reason, content) = match &seal.fate {
        InputFate::Open(data) => {
            batch.tables.open_turns.insert(key, data.as_slice())?;
            (TurnState::Open, None, seal.message.content.as_slice())
        }
        // A blocked input has no text in history.
        InputFate::Blocked => (TurnState::Blocked, Some(BLOCKED.to_owned()), &[][..]),
    };
    let message = (key.0, key.1, TurnPart::Input.key());
    write_message(batch, message, &seal.message, reason.clone(), content, vec![leaf.hash])?;
    write_place(batch, seal.agent, seal.input, message)?;
    write_place(batch, seal.agent, seal.answer, (key.0, key.1, TurnPart::Answer.key()))?;
    let usage = reason.is_some().then(Usage::default);
    let row = TurnRow {
        agent: seal.agent,
        session: seal.session,
        turn,
        input: seal.input,
        answer: seal.answer,
        state,
        finish_reason: reason,
        usage,
        input_leaf: leaf,
        output_leaf: None,
        also: Vec::new(),
    };
    write_turn(batch, &row)
}

/// Seals an output, which ends its turn. Again for the same turn it gives the same seal.
pub(crate) fn seal_output(batch: &mut Batch<'_>, seal: &OutputSeal) -> Result<Staged<OutputSealed>, StoreError> {
    let of = Subject { agent: seal.agent, session: seal.session };
    let mut head = read_head(batch, seal.agent)?;
    let mut session = read_session(batch, seal.agent, seal.session)?;
    let mut turn = read_turn(batch, seal.session, seal.turn)?;
    if let Some(leaf) = turn.output_leaf {
        return sealed_before(batch, turn.also, leaf);
    }
    if turn.state == TurnState::Blocked {
        return Err(StoreError::TurnBlocked(turn.turn));
    }
    if let Some(answer) = &seal.answer
        && answer.id != turn.answer
    {
        return Err(StoreError::WrongMessage { expected: turn.answer, given: answer.id });
    }

    let mut also = Vec::with_capacity(seal.also.len());
    for draft in &seal.also {
        also.push(add_leaf(batch, &mut head, of, draft)?);
    }
    let leaf = add_leaf(batch, &mut head, of, &seal.leaf)?;
    write_head(batch, seal.agent, &head)?;
    if let Some(answer) = &seal.answer {
        let key = (seal.session.key(), seal.turn, TurnPart::Answer.key());
        let reason = Some(seal.end.finish_reason.clone());
        let leaves = also.iter().chain([&leaf]).map(|place| place.hash).collect();
        write_message(batch, key, answer, reason, &answer.content, leaves)?;
        session.messages += 1;
        write_session(batch, &session)?;
    }
    batch.tables.open_turns.remove((seal.session.key(), seal.turn))?;
    turn.state = TurnState::Complete;
    turn.finish_reason = Some(seal.end.finish_reason.clone());
    turn.usage = Some(seal.end.usage);
    turn.output_leaf = Some(leaf);
    turn.also.clone_from(&also);
    write_turn(batch, &turn)?;
    Ok(Staged::Changed(Box::new(move |committed| OutputSealed {
        also: also.into_iter().map(|place| committed.seal(place)).collect(),
        sealed: committed.seal(leaf),
    })))
}

/// The seal that was given before: with the checkpoint of the commit that holds the leaf.
fn sealed_before(batch: &Batch<'_>, also: Vec<LeafPlace>, leaf: LeafPlace) -> Result<Staged<OutputSealed>, StoreError> {
    if leaf.index >= batch.size {
        return Ok(Staged::Unchanged(Box::new(move |committed| OutputSealed {
            also: also.into_iter().map(|place| committed.seal(place)).collect(),
            sealed: committed.seal(leaf),
        })));
    }
    let mut heads = batch.tables.signed_heads.range(leaf.index + 1..)?;
    let (_, note) = heads
        .next()
        .transpose()?
        .ok_or_else(|| StoreError::Corrupt(format!("no checkpoint covers leaf {}", leaf.index)))?;
    let note: std::sync::Arc<str> = note.value().into();
    Ok(Staged::unchanged(OutputSealed {
        also: also.into_iter().map(|place| Sealed::new(place, note.clone())).collect(),
        sealed: Sealed::new(leaf, note),
    }))
}

/// Notes the digest of the bindings that have let these messages pass, so that they need not judge them again.
pub(crate) fn mark_judged(
    batch: &mut Batch<'_>,
    agent: AgentId,
    messages: &[MessageId],
    digest: Hash,
) -> Result<Staged<()>, StoreError> {
    let mut keys = Vec::with_capacity(messages.len());
    for id in messages {
        let key = stored_place(batch, agent, *id)?.ok_or(StoreError::NotFound(Missing::Message(*id)))?;
        keys.push(key);
    }

    for key in keys {
        change_message(batch, key, |row| row.judged = Some(digest))?;
    }
    Ok(Staged::changed(()))
}

/// The part of a record that names its message.
#[derive(Deserialize)]
struct Judged {
    message: Option<String>,
}

/// Where the message is stored that a record judges; none for the system prompt and for what is not kept here.
fn judged_message(batch: &Batch<'_>, agent: AgentId, draft: &LeafDraft) -> Result<Option<MessageKey>, StoreError> {
    let named = serde_json::from_str(&draft.record).ok().and_then(|judged: Judged| judged.message);
    match named.and_then(|id| id.parse().ok()) {
        Some(id) => stored_place(batch, agent, id),
        None => Ok(None),
    }
}

fn place_of(batch: &Batch<'_>, agent: AgentId, id: MessageId) -> Result<Option<MessageKey>, StoreError> {
    Ok(batch.tables.message_places.get((agent.key(), id.key()))?.map(|place| place.value()))
}

/// The place of a message that is stored already (an answer's place is known before its row is there) and that can
/// be read: so a damaged row is found before anything is written.
fn stored_place(batch: &Batch<'_>, agent: AgentId, id: MessageId) -> Result<Option<MessageKey>, StoreError> {
    let Some(key) = place_of(batch, agent, id)? else {
        return Ok(None);
    };
    Ok(read_message(batch, key)?.map(|_| key))
}

fn read_message(batch: &Batch<'_>, key: MessageKey) -> Result<Option<MessageRow>, StoreError> {
    tables::row(&batch.tables.messages, key, "messages")
}

fn write_place(batch: &mut Batch<'_>, agent: AgentId, id: MessageId, key: MessageKey) -> Result<(), StoreError> {
    batch.tables.message_places.insert((agent.key(), id.key()), key)?;
    Ok(())
}

fn write_message(
    batch: &mut Batch<'_>,
    key: MessageKey,
    draft: &MessageDraft,
    ended: Option<String>,
    content: &[u8],
    leaf_hashes: Vec<Hash>,
) -> Result<(), StoreError> {
    let row = MessageRow {
        id: draft.id,
        role: draft.role,
        finish_reason: draft.finish_reason.clone().or(ended),
        leaf_hashes,
        judged: draft.judged,
        created_at: draft.created_at,
    };
    batch.tables.messages.insert(key, row::encode(&row)?.as_slice())?;
    batch.tables.contents.insert(key, content)?;
    Ok(())
}

fn change_message(
    batch: &mut Batch<'_>,
    key: MessageKey,
    change: impl FnOnce(&mut MessageRow),
) -> Result<(), StoreError> {
    if let Some(mut message) = read_message(batch, key)? {
        change(&mut message);
        batch.tables.messages.insert(key, row::encode(&message)?.as_slice())?;
    }
    Ok(())
}

fn read_turn(batch: &Batch<'_>, session: SessionId, turn: u64) -> Result<TurnRow, StoreError> {
    tables::row(&batch.tables.turns, (session.key(), turn), "turns")?.ok_or(StoreError::NotFound(Missing::Turn(turn)))
}

fn write_turn(batch: &mut Batch<'_>, row: &TurnRow) -> Result<(), StoreError> {
    batch.tables.turns.insert((row.session.key(), row.turn), row::encode(row)?.as_slice())?;
    Ok(())
}
