//! The bytes of a journal's record.
//!
//! Little-endian: the magic, the record's number, the lowest number that a replay needs, the body's length, the CRC-32
//! of all of that but itself and of the body; then the body, which is the steps one after another. A step is an
//! offset, a length and so many bytes, or [`RESIZE`] for a length and the file's new length for its offset.

use std::io;

use redb::StorageBackend;

/// Names the format and its version.
pub(super) const MAGIC: [u8; 8] = *b"gavelwj1";
/// Bytes before a record's body.
pub(super) const HEADER_BYTES: usize = 8 + 8 + 8 + 8 + 4;
/// The length of a step that resizes the file.
const RESIZE: u32 = u32::MAX;

/// A record being filled with the steps that its flush makes durable.
#[derive(Debug)]
pub(super) struct Draft(Vec<u8>);

impl Draft {
    pub(super) fn new() -> Self {
        Self(vec![0; HEADER_BYTES])
    }

    /// Bytes that it takes in the journal.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no step.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == HEADER_BYTES
    }

    /// Forgets its steps and keeps its room.
    pub(super) fn clear(&mut self) {
        self.0.truncate(HEADER_BYTES);
    }

    /// Adds a write.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len()).ok().filter(|&length| length != RESIZE);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.step(offset, length);
        self.0.extend_from_slice(data);
        Ok(())
    }

    /// Adds a change of the file's length.
    pub(super) fn resize(&mut self, length: u64) {
        self.step(length, RESIZE);
    }

    fn step(&mut self, offset: u64, length: u32) {
        self.0.extend_from_slice(&offset.to_le_bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
    }

    /// The record's bytes under this number; a replay needs those from `needed` on.
    pub(super) fn finish(&mut self, number: u64, needed: u64) -> &[u8] {
        let body = (self.len() - HEADER_BYTES) as u64;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        for field in [number, needed, body] {
            header.extend_from_slice(&field.to_le_bytes());
        }
        let (room, steps) = self.0.split_at_mut(HEADER_BYTES);
        header.extend_from_slice(&checksum(&header, steps).to_le_bytes());
        room.copy_from_slice(&header);
        &self.0
    }
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(body);
    crc.finalize()
}

/// A whole record that was read.
pub(super) struct Record<'a> {
    pub(super) number: u64,
    pub(super) needed: u64,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`; none where there is none, or a torn one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (needed, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let body = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let header = bytes.get(..HEADER_BYTES - crc.len())?;
        let whole = *magic == MAGIC && checksum(header, body) == u32::from_le_bytes(*crc);
        whole.then(|| Self { number: u64::from_le_bytes(*number), needed: u64::from_le_bytes(*needed), body })
    }

    /// Bytes that it takes in the journal.
    pub(super) fn len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Does again what it holds.
    pub(super) fn replay(&self, file: &impl StorageBackend) -> io::Result<()> {
        let mut rest = self.body;
        while !rest.is_empty() {
            let (offset, length, after) = step(rest).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            rest = if length == RESIZE {
                file.set_len(offset)?;
                after
            } else {
                let (data, after) = after
                    .split_at_checked(length as usize)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                file.write(offset, data)?;
                after
            };
        }
        Ok(())
    }
}

fn step(bytes: &[u8]) -> Option<(u64, u32, &[u8])> {
    let (offset, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    Some((u64::from_le_bytes(*offset), u32::from_le_bytes(*length), rest))
}
