//! Writing files' rows, and the list of objects without one.

use redb::ReadableTable;

use super::agents::{read_head, write_head, write_session};
use super::batch::Batch;
use super::job::Staged;
use super::leaves::{Subject, add_leaf};
use super::turns::checkpoint_over;
use crate::error::{Missing, StoreError};
use crate::file::{FileSeal, FileVerdict, FilesSeal, ObjectId, StoredFile};
use crate::id::{AgentId, FileId};
use crate::leaf::{LeafPlace, Sealed};
use crate::row;
use crate::session::Session;
use crate::tables;

/// Puts objects on the list of unclaimed ones before they are written.
pub(crate) fn expect_objects(
    batch: &mut Batch<'_>,
    agent: AgentId,
    files: &[FileId],
) -> Result<Staged<()>, StoreError> {
    read_head(batch, agent)?;
    for file in files {
        batch.tables.unclaimed_objects()?.insert((agent.key(), file.key()), ())?;
    }
    Ok(Staged::changed(()))
}

/// Keeps files and seals their records. Again for the same files it changes nothing and gives the same seals.
pub(crate) fn keep_files(batch: &mut Batch<'_>, seal: FilesSeal) -> Result<Staged<Vec<Option<Sealed>>>, StoreError> {
    let agent = seal.agent;
    let mut head = read_head(batch, agent)?;
    if let Some(places) = kept_before(batch, &seal)? {
        return sealed_before(batch, places);
    }
    for file in &seal.files {
        if batch.tables.sessions()?.get(file.file.session.key())?.is_some() {
            return Err(StoreError::SessionExists(file.file.session));
        }
    }
    let stored = stored_bytes(batch, agent)?;
    let kept = seal.files.iter().filter(|file| file.verdict == FileVerdict::Kept);
    let after = kept.fold(stored, |bytes, kept| bytes.saturating_add(kept.file.size));
    if let Some(limit) = seal.most_bytes.filter(|limit| after > stored && after > *limit) {
        return Err(StoreError::StorageFull { agent, limit });
    }

    let mut places = Vec::with_capacity(seal.files.len());
    for FileSeal { wrapped_key, leaf, file, verdict } in seal.files {
        let id = file.session;
        write_session(batch, &Session::new(id, agent, wrapped_key, file.created_at))?;
        batch.tables.sessions_by_agent()?.insert((agent.key(), id.key()), ())?;
        let of = Subject { agent, session: id };
        let place = leaf.map(|leaf| add_leaf(batch, &mut head, of, &leaf)).transpose()?;
        if verdict == FileVerdict::Kept {
            let key = (agent.key(), file.id.key());
            let row = row::encode(&StoredFile { leaf: place, ..file })?;
            batch.tables.files()?.insert(key, row.as_slice())?;
            batch.tables.unclaimed_objects()?.remove(key)?;
        }
        places.push(place);
    }
    write_bytes(batch, agent, after)?;
    write_head(batch, agent, &head)?;
    Ok(Staged::Changed(Box::new(move |committed| {
        places.into_iter().map(|place| place.map(|place| committed.seal(place))).collect()
    })))
}

/// The places of the leaves, if these very files are kept already.
fn kept_before(batch: &mut Batch<'_>, seal: &FilesSeal) -> Result<Option<Vec<Option<LeafPlace>>>, StoreError> {
    let mut places = Vec::with_capacity(seal.files.len());
    for given in &seal.files {
        let kept = read_file(batch, seal.agent, given.file.id)?;
        match kept.filter(|kept| kept.session == given.file.session) {
            Some(kept) => places.push(kept.leaf),
            None => return Ok(None),
        }
    }
    Ok(Some(places))
}

fn sealed_before(
    batch: &mut Batch<'_>,
    places: Vec<Option<LeafPlace>>,
) -> Result<Staged<Vec<Option<Sealed>>>, StoreError> {
    let (first, mut notes) = (batch.first, Vec::with_capacity(places.len()));
    for place in &places {
        let committed = place.filter(|place| place.index < first);
        notes.push(committed.map(|place| checkpoint_over(batch, place.index)).transpose()?);
    }
    let sealed = places.into_iter().zip(notes);
    Ok(Staged::Unchanged(Box::new(move |committed| {
        sealed
            .map(|(place, note)| {
                place.map(|place| match note {
                    Some(note) => Sealed::new(place, note),
                    None => committed.seal(place),
                })
            })
            .collect()
    })))
}

/// Removes a file with its key; its object is unclaimed from then on.
pub(crate) fn remove_file(batch: &mut Batch<'_>, agent: AgentId, file: FileId) -> Result<Staged<()>, StoreError> {
    let row = read_file(batch, agent, file)?.ok_or(StoreError::NotFound(Missing::File(file)))?;
    remove(batch, agent, &[row])?;
    Ok(Staged::changed(()))
}

/// Removes at most `limit` of an agent's files; it need not be there any more. Gives their ids.
pub(crate) fn remove_files_of(
    batch: &mut Batch<'_>,
    agent: AgentId,
    limit: usize,
) -> Result<Staged<Vec<FileId>>, StoreError> {
    let mut rows: Vec<StoredFile> = Vec::new();
    for entry in batch.tables.files()?.range((agent.key(), 0)..=(agent.key(), u128::MAX))?.take(limit) {
        rows.push(row::decode("files", entry?.1.value())?);
    }
    if rows.is_empty() {
        return Ok(Staged::unchanged(Vec::new()));
    }
    remove(batch, agent, &rows)?;
    Ok(Staged::changed(rows.into_iter().map(|row| row.id).collect()))
}

fn remove(batch: &mut Batch<'_>, agent: AgentId, rows: &[StoredFile]) -> Result<(), StoreError> {
    let removed = rows.iter().fold(0_u64, |bytes, row| bytes.saturating_add(row.size));
    let stored = stored_bytes(batch, agent)?;
    for row in rows {
        let key = (agent.key(), row.id.key());
        batch.tables.files()?.remove(key)?;
        batch.tables.sessions()?.remove(row.session.key())?;
        batch.tables.sessions_by_agent()?.remove((agent.key(), row.session.key()))?;
        batch.tables.unclaimed_objects()?.insert(key, ())?;
    }
    batch.keys_destroyed = true;
    batch.keys_destroyed = true;
    write_bytes(batch, agent, stored.saturating_sub(removed))
}

/// Takes objects off the list of unclaimed ones: they are gone.
pub(crate) fn forget_objects(batch: &mut Batch<'_>, objects: &[ObjectId]) -> Result<Staged<()>, StoreError> {
    for object in objects {
        batch.tables.unclaimed_objects()?.remove((object.agent.key(), object.file.key()))?;
    }
    Ok(Staged::changed(()))
}

fn read_file(batch: &mut Batch<'_>, agent: AgentId, file: FileId) -> Result<Option<StoredFile>, StoreError> {
    tables::row(batch.tables.files()?, (agent.key(), file.key()), "files")
}

fn stored_bytes(batch: &mut Batch<'_>, agent: AgentId) -> Result<u64, StoreError> {
    Ok(batch.tables.file_bytes()?.get(agent.key())?.map_or(0, |bytes| bytes.value()))
}

fn write_bytes(batch: &mut Batch<'_>, agent: AgentId, bytes: u64) -> Result<(), StoreError> {
    if bytes == 0 {
        batch.tables.file_bytes()?.remove(agent.key())?;
    } else {
        batch.tables.file_bytes()?.insert(agent.key(), bytes)?;
    }
    Ok(())
}
