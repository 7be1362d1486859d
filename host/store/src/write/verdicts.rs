//! Writing the blocks by which verdicts are found, each with the commit that completes it.

use redb::ReadableTable;

use crate::error::StoreError;
use crate::leaf::Leaf;
use crate::tables::{NARROW, Tables, WIDE};
use crate::verdict::{self, Block, BlockDraft};

/// Writes the blocks that are complete now that the log has grown from `before` leaves to `after`.
pub(super) fn close_blocks(tables: &mut Tables<'_>, before: u64, after: u64) -> Result<(), StoreError> {
    for block in before >> 8..after >> 8 {
        let bytes = of_leaves(tables, block << 8)?.encode()?;
        tables.verdict_blocks()?.insert((NARROW, block), bytes.as_slice())?;
    }
    for block in before >> 16..after >> 16 {
        let bytes = of_blocks(tables, block << 8)?.encode()?;
        tables.verdict_blocks()?.insert((WIDE, block), bytes.as_slice())?;
    }
    Ok(())
}

/// The block of 256 leaves.
fn of_leaves(tables: &mut Tables<'_>, first: u64) -> Result<BlockDraft, StoreError> {
    let mut draft = BlockDraft::default();
    for (position, index) in (0..=u8::MAX).zip(first..) {
        let Some(bytes) = tables.leaves()?.get(index)? else {
            return Err(StoreError::Corrupt(format!("leaf {index} is missing")));
        };
        let leaf = Leaf::decode(bytes.value())?;
        // What is no record is no verdict that anyone could ask for. That must not keep others from being sealed.
        let record = verdict::record(leaf.record).ok();
        if let Some((record, time)) = record.and_then(|record| verdict::record_time(&record).map(|time| (record, time)))
        {
            draft.add(position, (time, time), verdict::record_terms(leaf.agent, &record));
        }
    }
    Ok(draft)
}

/// The block of 256 blocks.
fn of_blocks(tables: &mut Tables<'_>, first: u64) -> Result<BlockDraft, StoreError> {
    let mut draft = BlockDraft::default();
    for (position, index) in (0..=u8::MAX).zip(first..) {
        let Some(bytes) = tables.verdict_blocks()?.get((NARROW, index))? else {
            return Err(StoreError::Corrupt(format!("block {index} of verdicts is missing")));
        };
        let block = Block::decode(bytes.value())?;
        draft.add(position, block.times(), block.terms());
    }
    Ok(draft)
}
