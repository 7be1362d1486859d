//! What a journal gives back after a crash.

use std::io;

use redb::StorageBackend;

use super::Half;
use super::record::{MAGIC, Record};

/// Where a journal ended.
pub(super) struct End {
    /// The half of the newest record.
    pub(super) half: Half,
    /// The newest record's number.
    pub(super) number: u64,
    /// The lowest number that it says is needed.
    pub(super) needed: u64,
    /// The number of its half's first record.
    pub(super) first: u64,
    /// Where it ends in its half.
    pub(super) at: u64,
}

/// Brings the file to what it was at the last flush, and says where the journal ended; none of an empty journal.
pub(super) fn replay(
    file: &impl StorageBackend,
    journal: &impl StorageBackend,
    half_bytes: u64,
    length: u64,
) -> io::Result<Option<End>> {
    let lower = read_half(journal, Half::Lower, half_bytes, length)?;
    let upper = read_half(journal, Half::Upper, half_bytes, length)?;
    let halves = [(Half::Lower, records(&lower)), (Half::Upper, records(&upper))];
    let newest = halves
        .iter()
        .filter_map(|(half, (records, _))| Some((*half, records.first()?, records.last()?, records)))
        .max_by_key(|(_, _, last, _)| last.number);
    let Some((half, first, last, records)) = newest else {
        return Ok(None);
    };
    if halves.iter().any(|(_, (_, rest))| holds_newer(rest, last.number)) {
        return Err(lost_records());
    }
    redo(file, last, halves.iter().flat_map(|(_, (records, _))| records))?;
    let at = records.iter().map(|record| record.len() as u64).sum();
    Ok(Some(End { half, number: last.number, needed: last.needed, first: first.number, at }))
}

fn read_half(journal: &impl StorageBackend, half: Half, half_bytes: u64, length: u64) -> io::Result<Vec<u8>> {
    let start = half.start(half_bytes);
    let bytes = length.saturating_sub(start).min(half_bytes);
    let mut read = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    if !read.is_empty() {
        journal.read(start, &mut read)?;
    }
    Ok(read)
}

/// The records of a half from its beginning on, and what lies behind them: a record that was torn, and what is left of
/// an older lap, which has lower numbers.
fn records(half: &[u8]) -> (Vec<Record<'_>>, &[u8]) {
    let mut records: Vec<Record<'_>> = Vec::new();
    let mut rest = half;
    while let Some(record) = Record::read(rest) {
        if records.last().is_some_and(|last| record.number != last.number + 1) {
            break;
        }
        rest = rest.get(record.len()..).unwrap_or_default();
        records.push(record);
    }
    (records, rest)
}

/// Whether a record with a higher number lies in there: then one before it is damaged, not torn.
fn holds_newer(rest: &[u8], number: u64) -> bool {
    let starts = memchr::memmem::find_iter(rest, &MAGIC);
    starts.filter_map(|at| Record::read(rest.get(at..)?)).any(|record| record.number > number)
}

fn lost_records() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the database's journal has lost records")
}

/// Does again what the records from the oldest needed to the newest hold, and flushes the file.
fn redo<'a>(
    file: &impl StorageBackend,
    newest: &Record<'_>,
    records: impl Iterator<Item = &'a Record<'a>>,
) -> io::Result<()> {
    let needed = newest.needed..=newest.number;
    let mut due: Vec<_> = records.filter(|record| needed.contains(&record.number)).collect();
    due.sort_by_key(|record| record.number);
    if !due.iter().map(|record| record.number).eq(needed) {
        return Err(lost_records());
    }
    due.into_iter().try_for_each(|record| record.replay(file))?;
    file.sync_data()
}
