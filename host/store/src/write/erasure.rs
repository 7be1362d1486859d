//! Deleting: the key first, in one small write, and then the rows that it opened, some at a time.

use redb::ReadableTable;

use super::agents::{read_head, read_profile, read_session, write_head, write_session};
use super::batch::Batch;
use super::job::Staged;
use super::keyed::drop_answers;
use crate::agent::AgentState;
use crate::api_key::ApiKey;
use crate::erasure::Erasure;
use crate::error::{Missing, StoreError};
use crate::id::{AgentId, SessionId};
use crate::row;
use crate::session::{Abandoned, Cleared};
use crate::tables::{self, PartKey, TURN};
use crate::turn::{TurnRow, TurnState};

/// Most rows that are removed in one go: other writes wait for no more.
const ROWS: usize = 512;

/// Clears an agent's current session: its key is replaced, and all that is under the old one is out of reach from then on.
/// Gives the number of messages that its history had. Turns that are open go on, and nothing of them is kept.
pub(crate) fn clear_session(
    batch: &mut Batch<'_>,
    agent: AgentId,
    session: SessionId,
    wrapped_key: Vec<u8>,
) -> Result<Staged<u64>, StoreError> {
    let mut head = read_head(batch, agent)?;
    if head.session != Some(session) {
        return Err(StoreError::SessionEnded(session));
    }
    let mut row = read_session(batch, agent, session)?;
    let open = open_turns(batch)?;
    row.wrapped_key = wrapped_key;
    row.cleared = Cleared { turns: head.turns, leaves: batch.edge.size() };
    row.abandoned = Abandoned::default();
    write_session(batch, &row)?;
    let messages = std::mem::take(&mut head.messages);
    head.epoch += 1;
    write_head(batch, agent, &head)?;
    for turn in open.into_iter().filter(|turn| turn.session == session) {
        forget_ids(batch, &turn)?;
        let turn = TurnRow { cleared: true, ..turn };
        batch.tables.conversations()?.insert(turn_key(&turn), row::encode(&turn)?.as_slice())?;
    }
    leave(batch, Erasure::Session(agent, session))?;
    batch.keys_destroyed = true;
    Ok(Staged::changed(messages))
}

/// Deletes an agent, which has to be stopped: its data key is destroyed, and with it every key of its sessions and all
/// that is under them. From then on it does not exist.
pub(crate) fn delete_agent(batch: &mut Batch<'_>, id: AgentId) -> Result<Staged<()>, StoreError> {
    let profile = read_profile(batch, id)?.ok_or(StoreError::NotFound(Missing::Agent(id)))?;
    if read_head(batch, id)?.state == AgentState::Running {
        return Err(StoreError::AgentRunning(id));
    }
    if open_turns(batch)?.iter().any(|turn| turn.agent == id) {
        return Err(StoreError::TurnsOpen(id));
    }
    batch.tables.agents()?.remove(id.key())?;
    batch.tables.agent_heads()?.remove(id.key())?;
    batch.tables.agents_by_owner()?.remove((profile.owner.as_str(), id.key()))?;
    leave(batch, Erasure::Agent(id))?;
    batch.keys_destroyed = true;
    Ok(Staged::changed(()))
}

/// Notes that rows are still to be removed.
pub(super) fn leave(batch: &mut Batch<'_>, erasure: Erasure) -> Result<(), StoreError> {
    batch.tables.erasures()?.insert(erasure.key(), ())?;
    Ok(())
}

/// Removes some of the rows that a deletion left, and says whether there may be more.
pub(crate) fn erase(batch: &mut Batch<'_>, erasure: Erasure) -> Result<Staged<bool>, StoreError> {
    if batch.tables.erasures()?.get(erasure.key())?.is_none() {
        return Ok(Staged::unchanged(false));
    }
    let mut room = ROWS;
    match erasure {
        Erasure::Session(agent, session) => {
            let cleared = match read_session(batch, agent, session) {
                Ok(session) => session.cleared.turns,
                // Its agent has been deleted since, which removes it whole.
                Err(StoreError::NotFound(_)) => 0,
                Err(error) => return Err(error),
            };
            erase_turns(batch, session.key(), cleared, &mut room)?;
        }
        Erasure::Agent(agent) => erase_agent(batch, agent.key(), &mut room)?,
    }
    let more = room == 0;
    if !more {
        batch.tables.erasures()?.remove(erasure.key())?;
    }
    Ok(Staged::changed(more))
}

/// Every table that holds something of an agent besides its own rows, which are gone already, and its files, which are
/// removed with their objects. The log's leaves stay: they name it, and say nothing of what was said.
fn erase_agent(batch: &mut Batch<'_>, agent: u128, room: &mut usize) -> Result<(), StoreError> {
    let all = (agent, 0)..=(agent, u128::MAX);
    while *room > 0 {
        let first = batch.tables.sessions_by_agent()?.range(all.clone())?.next().transpose()?;
        let Some(session) = first.map(|(key, _)| key.value().1) else { break };
        batch.tables.sessions()?.remove(session)?;
        erase_turns(batch, session, u64::MAX, room)?;
        if *room > 0 {
            batch.tables.sessions_by_agent()?.remove((agent, session))?;
            batch.tables.erasures()?.remove((agent, session))?;
            *room -= 1;
        }
    }
    drop_answers(batch, agent, room)?;
    erase_api_keys(batch, agent, room)?;
    erase_vault_keys(batch, agent, room)?;
    remove(batch.tables.session_checkpoints()?, all.clone(), room)?;
    remove(batch.tables.message_places()?, all, room)
}

fn erase_api_keys(batch: &mut Batch<'_>, agent: u128, room: &mut usize) -> Result<(), StoreError> {
    let mut tokens = Vec::new();
    for entry in batch.tables.api_keys()?.range((agent, 0)..=(agent, u128::MAX))?.take(*room) {
        let key: ApiKey = row::decode("api_keys", entry?.1.value())?;
        tokens.push(key.token_hash);
    }
    for token in tokens {
        batch.tables.api_key_tokens()?.remove(token.as_bytes())?;
    }
    remove(batch.tables.api_keys()?, (agent, 0)..=(agent, u128::MAX), room)
}

fn erase_vault_keys(batch: &mut Batch<'_>, agent: u128, room: &mut usize) -> Result<(), StoreError> {
    let mut providers = Vec::new();
    for entry in batch.tables.vault_keys()?.range((agent, "")..)?.take(*room) {
        let (key, _) = entry?;
        let (of, provider) = key.value();
        if of != agent {
            break;
        }
        providers.push(provider.to_owned());
    }
    *room -= providers.len();
    for provider in providers {
        batch.tables.vault_keys()?.remove((agent, provider.as_str()))?;
    }
    Ok(())
}

/// Removes rows of a table, as many as there is room for.
fn remove<V: redb::Value + 'static>(
    table: &mut redb::Table<'_, (u128, u128), V>,
    range: std::ops::RangeInclusive<(u128, u128)>,
    room: &mut usize,
) -> Result<(), StoreError> {
    let keys = table.range(range)?.take(*room).map(|entry| Ok(entry?.0.value()));
    let keys: Vec<(u128, u128)> = keys.collect::<Result<_, StoreError>>()?;
    *room -= keys.len();
    for key in keys {
        table.remove(key)?;
    }
    Ok(())
}

/// Removes the turns of a session up to number `last` with their messages, their openings and what finds them. The row of
/// a turn that is still open stays: its output is to be recorded.
fn erase_turns(batch: &mut Batch<'_>, session: u128, last: u64, room: &mut usize) -> Result<(), StoreError> {
    let (mut turns, mut parts) = (Vec::new(), Vec::new());
    for entry in batch.tables.conversations()?.range((session, 0, TURN)..=(session, last, u8::MAX))? {
        if turns.len() + parts.len() == *room {
            break;
        }
        let (key, bytes) = entry?;
        let key = key.value();
        if key.2 != TURN {
            parts.push(key);
            continue;
        }
        let turn: TurnRow = row::decode("turns", bytes.value())?;
        if turn.state != TurnState::Open {
            turns.push(turn);
        }
    }
    *room -= turns.len() + parts.len();
    for turn in turns {
        forget_ids(batch, &turn)?;
        for leaf in turn.leaves() {
            batch.tables.openings()?.remove(leaf.index)?;
        }
        batch.tables.conversations()?.remove(turn_key(&turn))?;
    }
    for key in parts {
        batch.tables.conversations()?.remove(key)?;
    }
    Ok(())
}

/// Makes the ids of a turn's messages unknown, unless another turn has been begun with one of them since.
fn forget_ids(batch: &mut Batch<'_>, turn: &TurnRow) -> Result<(), StoreError> {
    for id in [turn.input, turn.answer] {
        let key = (turn.agent.key(), id.key());
        let place: Option<PartKey> = batch.tables.message_places()?.get(key)?.map(|place| place.value());
        if place.is_some_and(|(session, number, _)| (session, number) == (turn.session.key(), turn.turn)) {
            batch.tables.message_places()?.remove(key)?;
        }
    }
    Ok(())
}

/// The turns that are open, of all agents: never more than can run at once.
fn open_turns(batch: &mut Batch<'_>) -> Result<Vec<TurnRow>, StoreError> {
    let keys = batch.tables.open_turns()?.range::<(u128, u64)>(..)?.map(|entry| Ok(entry?.0.value()));
    let keys: Vec<(u128, u64)> = keys.collect::<Result<_, StoreError>>()?;
    let mut turns = Vec::with_capacity(keys.len());
    for (session, turn) in keys {
        turns.extend(tables::row(batch.tables.conversations()?, (session, turn, TURN), "turns")?);
    }
    Ok(turns)
}

fn turn_key(turn: &TurnRow) -> PartKey {
    (turn.session.key(), turn.turn, TURN)
}
