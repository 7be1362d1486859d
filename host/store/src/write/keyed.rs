//! Writing what is known of requests under an idempotency key.

use gavel_log::Hash;
use redb::ReadableTable;

use super::batch::Batch;
use super::job::Staged;
use crate::error::StoreError;
use crate::id::AgentId;
use crate::idempotency::{ANSWER_KEPT_MS, Ask, Asked, KeptAnswer, KeyedRequest, Outcome};
use crate::{row, tables};

/// Most keys that each request lets go of whose time is up: more than it brings, so that they do not add up.
const LET_GO: usize = 16;

/// Takes note of a request, or gives what is known of it.
pub(crate) fn ask(batch: &mut Batch<'_>, ask: Ask) -> Result<Staged<Asked>, StoreError> {
    let known = read(batch, &ask.slot)?.filter(|known| ask.now < known.asked_at.saturating_add(ANSWER_KEPT_MS));
    if let Some(known) = known {
        if known.fingerprint != ask.fingerprint {
            return Err(StoreError::KeyReused);
        }
        let gone = tells_of_a_deleted_agent(batch, &ask.slot, &known)?;
        return Ok(Staged::unchanged(match known.outcome {
            Outcome::Open => Asked::Open(known.seed),
            Outcome::Answered(_) if gone => Asked::Gone,
            Outcome::Answered(answer) => Asked::Answered(answer),
            Outcome::Gone => Asked::Gone,
        }));
    }
    let overdue = overdue(batch, ask.now)?;
    for (asked_at, slot) in overdue {
        forget(batch, asked_at, &slot)?;
    }
    if let Some(expired) = read(batch, &ask.slot)? {
        forget(batch, expired.asked_at, &ask.slot)?;
    }
    let Ask { slot, fingerprint, seed, now } = ask;
    let request = KeyedRequest { fingerprint, seed, asked_at: now, outcome: Outcome::Open };
    write(batch, &slot, &request)?;
    batch.tables.keyed_by_time()?.insert((time_key(now), slot.as_bytes()), ())?;
    Ok(Staged::changed(Asked::Open(seed)))
}

/// Keeps an answer for whoever asks again. With the agent that it tells of, its text goes too.
pub(crate) fn keep_answer(
    batch: &mut Batch<'_>,
    slot: Hash,
    answer: KeptAnswer,
    agent: Option<AgentId>,
) -> Result<Staged<()>, StoreError> {
    let Some(request) = read(batch, &slot)?.filter(|request| matches!(request.outcome, Outcome::Open)) else {
        return Ok(Staged::unchanged(()));
    };
    // Deleted already, by somebody quick: nothing more is kept of it.
    let outcome = match agent {
        Some(agent) if batch.tables.agents()?.get(agent.key())?.is_none() => Outcome::Gone,
        Some(agent) => {
            batch.tables.keyed_by_agent()?.insert((agent.key(), slot.as_bytes()), ())?;
            Outcome::Answered(answer)
        }
        None => Outcome::Answered(answer),
    };
    write(batch, &slot, &KeyedRequest { outcome, ..request })?;
    Ok(Staged::changed(()))
}

/// Forgets a request that was refused: the key may be used for another.
pub(crate) fn withdraw(batch: &mut Batch<'_>, slot: Hash) -> Result<Staged<()>, StoreError> {
    match read(batch, &slot)? {
        Some(request) if matches!(request.outcome, Outcome::Open) => {
            forget(batch, request.asked_at, &slot)?;
            Ok(Staged::changed(()))
        }
        _ => Ok(Staged::unchanged(())),
    }
}

/// Drops the texts of answers that told of an agent which is deleted: as many as there is room for.
pub(super) fn drop_answers(batch: &mut Batch<'_>, agent: u128, room: &mut usize) -> Result<(), StoreError> {
    let mut slots = Vec::new();
    for entry in batch.tables.keyed_by_agent()?.range((agent, &[0; 32])..=(agent, &[u8::MAX; 32]))?.take(*room) {
        slots.push(Hash(*entry?.0.value().1));
    }
    *room -= slots.len();
    for slot in slots {
        if let Some(request) = read(batch, &slot)? {
            write(batch, &slot, &KeyedRequest { outcome: Outcome::Gone, ..request })?;
        }
        batch.tables.keyed_by_agent()?.remove((agent, slot.as_bytes()))?;
    }
    Ok(())
}

/// Whether an answer's agent is gone: its text goes a little later.
fn tells_of_a_deleted_agent(batch: &mut Batch<'_>, slot: &Hash, request: &KeyedRequest) -> Result<bool, StoreError> {
    let agent = request.seed.agent().key();
    let told = batch.tables.keyed_by_agent()?.get((agent, slot.as_bytes()))?.is_some();
    Ok(told && batch.tables.agents()?.get(agent)?.is_none())
}

fn overdue(batch: &mut Batch<'_>, now: i64) -> Result<Vec<(i64, Hash)>, StoreError> {
    let last = time_key(now.saturating_sub(ANSWER_KEPT_MS));
    let mut overdue = Vec::new();
    for entry in batch.tables.keyed_by_time()?.range((0, &[0; 32])..=(last, &[u8::MAX; 32]))?.take(LET_GO) {
        let (key, _) = entry?;
        let (time, slot) = key.value();
        overdue.push((i64::try_from(time).unwrap_or(i64::MAX), Hash(*slot)));
    }
    Ok(overdue)
}

fn forget(batch: &mut Batch<'_>, asked_at: i64, slot: &Hash) -> Result<(), StoreError> {
    batch.tables.keyed_by_time()?.remove((time_key(asked_at), slot.as_bytes()))?;
    let request = read(batch, slot)?;
    batch.tables.keyed_requests()?.remove(slot.as_bytes())?;
    if let Some(request) = request {
        batch.tables.keyed_by_agent()?.remove((request.seed.agent().key(), slot.as_bytes()))?;
    }
    Ok(())
}

/// A time as a key; those before 1970 are all the same.
fn time_key(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

fn read(batch: &mut Batch<'_>, slot: &Hash) -> Result<Option<KeyedRequest>, StoreError> {
    tables::row(batch.tables.keyed_requests()?, slot.as_bytes(), "keyed_requests")
}

fn write(batch: &mut Batch<'_>, slot: &Hash, request: &KeyedRequest) -> Result<(), StoreError> {
    batch.tables.keyed_requests()?.insert(slot.as_bytes(), row::encode(request)?.as_slice())?;
    Ok(())
}
