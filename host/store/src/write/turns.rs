//! Writing turns: the hot path.

use std::borrow::Cow;
use std::sync::Arc;

use gavel_log::Hash;
use redb::ReadableTable;
use serde::Deserialize;

use super::agents::{read_head, read_session, write_head, write_session};
use super::batch::Batch;
use super::erasure::leave;
use super::job::Staged;
use super::leaves::{Subject, add_leaf};
use crate::agent::AgentState;
use crate::erasure::Erasure;
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, MessageId, SessionId};
use crate::leaf::{Leaf, LeafDraft, LeafPlace, Sealed};
use crate::message::{MessageDraft, MessageRow, TurnPart};
use crate::row;
use crate::session::Session;
use crate::tables::{self, PartKey, TURN};
use crate::turn::{
    BLOCKED, DetachedSession, InputFate, InputSeal, InputSealed, OutputSeal, OutputSealed, TurnRow, TurnState, Usage,
};

/// Seals an input, which begins its turn.
pub(crate) fn seal_input(batch: &mut Batch<'_>, seal: &InputSeal) -> Result<Staged<InputSealed>, StoreError> {
    let of = Subject { agent: seal.agent, session: seal.session };
    let mut head = read_head(batch, seal.agent)?;
    let current = head.session == Some(seal.session) || seal.detached.is_some();
    if !current {
        read_session(batch, seal.agent, seal.session)?;
    }
    if head.state != AgentState::Running {
        return Err(StoreError::AgentNotRunning(seal.agent));
    }
    if !current {
        return Err(StoreError::SessionEnded(seal.session));
    }
    if seal.detached.is_none() && head.epoch != seal.epoch {
        return Err(StoreError::SessionChanged(seal.session));
    }
    for id in [seal.input, seal.answer] {
        if place_of(batch, seal.agent, id)?.is_some() {
            return Err(StoreError::DuplicateMessage(id));
        }
    }
    head.usage = head.usage.at(seal.message.created_at);
    if let Some(what) = head.usage.used_up(&seal.limits) {
        return Err(StoreError::QuotaExceeded { agent: seal.agent, what });
    }
    let judged =
        seal.earlier.iter().map(|draft| judged_message(batch, seal.agent, draft)).collect::<Result<Vec<_>, _>>()?;

    head.usage.messages += 1;
    let turn = match &seal.detached {
        Some(detached) => open_detached(batch, seal, detached)?,
        None => {
            head.turns += 1;
            head.messages += 1;
            head.turns
        }
    };
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
    begin_turn(batch, seal, turn, leaf)?;
    Ok(Staged::Changed(Box::new(move |committed| InputSealed {
        turn,
        earlier: earlier.into_iter().map(|place| committed.seal(place)).collect(),
        sealed: committed.seal(leaf),
    })))
}

/// Opens a session for one turn alone, and gives the turn's number.
fn open_detached(batch: &mut Batch<'_>, seal: &InputSeal, detached: &DetachedSession) -> Result<u64, StoreError> {
    let DetachedSession { wrapped_key, created_at } = detached.clone();
    let session = Session { turns: 1, messages: 1, ..Session::new(seal.session, seal.agent, wrapped_key, created_at) };
    write_session(batch, &session)?;
    batch.tables.sessions_by_agent()?.insert((seal.agent.key(), seal.session.key()), ())?;
    Ok(session.turns)
}

fn begin_turn(batch: &mut Batch<'_>, seal: &InputSeal, turn: u64, leaf: LeafPlace) -> Result<(), StoreError> {
    let key = (seal.session.key(), turn);
    let (state, reason, content) = match &seal.fate {
        InputFate::Open(data) => {
            batch.tables.open_turns()?.insert(key, data.as_slice())?;
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
        cleared: false,
    };
    write_turn(batch, &row)
}

/// Seals an output, which ends its turn. Again for the same turn it gives the same seal.
pub(crate) fn seal_output(batch: &mut Batch<'_>, seal: &OutputSeal) -> Result<Staged<OutputSealed>, StoreError> {
    let of = Subject { agent: seal.agent, session: seal.session };
    let mut head = read_head(batch, seal.agent)?;
    let former =
        if head.session == Some(seal.session) { None } else { Some(read_session(batch, seal.agent, seal.session)?) };
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
        also.push(add_leaf(batch, &mut head, of, &kept(draft, &turn))?);
    }
    let leaf = add_leaf(batch, &mut head, of, &kept(&seal.leaf, &turn))?;
    if let Some(answer) = seal.answer.as_ref().filter(|_| !turn.cleared) {
        let key = (seal.session.key(), seal.turn, TurnPart::Answer.key());
        let reason = Some(seal.end.finish_reason.clone());
        let leaves = also.iter().chain([&leaf]).map(|place| place.hash).collect();
        write_message(batch, key, answer, reason, &answer.content, leaves)?;
        match former {
            Some(session) => write_session(batch, &Session { messages: session.messages + 1, ..session })?,
            None => head.messages += 1,
        }
    }
    head.usage = head.usage.at(seal.end.at);
    let Usage { input_tokens, output_tokens } = seal.end.usage;
    head.usage.input_tokens = head.usage.input_tokens.saturating_add(input_tokens);
    head.usage.output_tokens = head.usage.output_tokens.saturating_add(output_tokens);
    write_head(batch, seal.agent, &head)?;
    batch.tables.open_turns()?.remove((seal.session.key(), seal.turn))?;
    turn.state = TurnState::Complete;
    turn.finish_reason = Some(seal.end.finish_reason.clone());
    turn.usage = Some(seal.end.usage);
    turn.output_leaf = Some(leaf);
    turn.also.clone_from(&also);
    write_turn(batch, &turn)?;
    if turn.cleared {
        leave(batch, Erasure::Session(turn.agent, turn.session))?;
    }
    Ok(Staged::Changed(Box::new(move |committed| OutputSealed {
        also: also.into_iter().map(|place| committed.seal(place)).collect(),
        sealed: committed.seal(leaf),
    })))
}

/// What is kept of a turn's record: no opening, where its session was cleared while it was open.
fn kept<'a>(draft: &'a LeafDraft, turn: &TurnRow) -> Cow<'a, LeafDraft> {
    if turn.cleared { Cow::Owned(LeafDraft { opening: None, ..draft.clone() }) } else { Cow::Borrowed(draft) }
}

/// The seal that was given before: with the checkpoint of the commit that holds the leaf.
fn sealed_before(
    batch: &mut Batch<'_>,
    also: Vec<LeafPlace>,
    leaf: LeafPlace,
) -> Result<Staged<OutputSealed>, StoreError> {
    if leaf.index >= batch.first {
        return Ok(Staged::Unchanged(Box::new(move |committed| OutputSealed {
            also: also.into_iter().map(|place| committed.seal(place)).collect(),
            sealed: committed.seal(leaf),
        })));
    }
    let note = checkpoint_over(batch, leaf.index)?;
    Ok(Staged::unchanged(OutputSealed {
        also: also.into_iter().map(|place| Sealed::new(place, note.clone())).collect(),
        sealed: Sealed::new(leaf, note),
    }))
}

/// The signed head of the commit that holds a leaf.
pub(super) fn checkpoint_over(batch: &mut Batch<'_>, leaf: u64) -> Result<Arc<str>, StoreError> {
    for row in batch.tables.leaves()?.range(leaf..)? {
        if let Some(note) = Leaf::decode(row?.1.value())?.checkpoint {
            return Ok(note.into());
        }
    }
    Err(StoreError::Corrupt(format!("no checkpoint covers leaf {leaf}")))
}

/// Notes the digest of the bindings that have let these messages pass, so that they need not judge them again. What has been
/// cleared meanwhile is passed over.
pub(crate) fn mark_judged(
    batch: &mut Batch<'_>,
    agent: AgentId,
    messages: &[MessageId],
    digest: Hash,
) -> Result<Staged<()>, StoreError> {
    let mut keys = Vec::with_capacity(messages.len());
    for id in messages {
        keys.extend(stored_place(batch, agent, *id)?);
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
fn judged_message(batch: &mut Batch<'_>, agent: AgentId, draft: &LeafDraft) -> Result<Option<PartKey>, StoreError> {
    let named = serde_json::from_str(&draft.record).ok().and_then(|judged: Judged| judged.message);
    match named.and_then(|id| id.parse().ok()) {
        Some(id) => stored_place(batch, agent, id),
        None => Ok(None),
    }
}

/// The place of a message that has not been cleared.
fn place_of(batch: &mut Batch<'_>, agent: AgentId, id: MessageId) -> Result<Option<PartKey>, StoreError> {
    let place = batch.tables.message_places()?.get((agent.key(), id.key()))?.map(|place| place.value());
    let Some((session, turn, part)) = place else { return Ok(None) };
    let cleared = read_session(batch, agent, SessionId::from_key(session))?.cleared;
    Ok((turn > cleared.turns).then_some((session, turn, part)))
}

/// The place of a message that is stored already (an answer's place is known before its row is there) and that can
/// be read: so a damaged row is found before anything is written.
fn stored_place(batch: &mut Batch<'_>, agent: AgentId, id: MessageId) -> Result<Option<PartKey>, StoreError> {
    let Some(key) = place_of(batch, agent, id)? else {
        return Ok(None);
    };
    Ok(read_message(batch, key)?.map(|_| key))
}

fn read_message(batch: &mut Batch<'_>, key: PartKey) -> Result<Option<(MessageRow, Vec<u8>)>, StoreError> {
    let Some(bytes) = batch.tables.conversations()?.get(key)? else {
        return Ok(None);
    };
    let (row, content) = MessageRow::decode(bytes.value())?;
    Ok(Some((row, content.to_vec())))
}

fn write_place(batch: &mut Batch<'_>, agent: AgentId, id: MessageId, key: PartKey) -> Result<(), StoreError> {
    batch.tables.message_places()?.insert((agent.key(), id.key()), key)?;
    Ok(())
}

fn write_message(
    batch: &mut Batch<'_>,
    key: PartKey,
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
        attached: draft.attached.clone(),
        created_at: draft.created_at,
    };
    batch.tables.conversations()?.insert(key, row.encode(content)?.as_slice())?;
    Ok(())
}

fn change_message(batch: &mut Batch<'_>, key: PartKey, change: impl FnOnce(&mut MessageRow)) -> Result<(), StoreError> {
    if let Some((mut message, content)) = read_message(batch, key)? {
        change(&mut message);
        batch.tables.conversations()?.insert(key, message.encode(&content)?.as_slice())?;
    }
    Ok(())
}

fn read_turn(batch: &mut Batch<'_>, session: SessionId, turn: u64) -> Result<TurnRow, StoreError> {
    tables::row(batch.tables.conversations()?, (session.key(), turn, TURN), "turns")?
        .ok_or(StoreError::NotFound(Missing::Turn(turn)))
}

fn write_turn(batch: &mut Batch<'_>, row: &TurnRow) -> Result<(), StoreError> {
    batch.tables.conversations()?.insert((row.session.key(), row.turn, TURN), row::encode(row)?.as_slice())?;
    Ok(())
}
