//! GitHub's tokens: `ghp_` and its kin, which end with a checksum, and fine-grained personal access tokens.

use gavel_sdk::scan::{ByteSet, Cursor, Found};

use crate::{WORD, crc};

/// Characters of a classic token after its prefix: thirty at random and six of checksum.
const CLASSIC: usize = 36;

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    if cursor.eat_str("github_pat_") { fine_grained(cursor) } else { classic(cursor) }
}

fn classic(cursor: &mut Cursor<'_>) -> Option<Found> {
    cursor.eat_str("gh").then_some(())?;
    cursor.eat(&ByteSet::of(b"pousr"))?;
    cursor.eat_byte(b'_').then_some(())?;
    let from = cursor.position();
    (cursor.take_while(&ByteSet::ALPHANUMERIC) == CLASSIC).then_some(())?;
    let (random, checksum) = cursor.since(from).as_bytes().split_at_checked(CLASSIC - 6)?;
    crc::holds(random, checksum).then(|| cursor.found())
}

fn fine_grained(cursor: &mut Cursor<'_>) -> Option<Found> {
    let whole = cursor.take_while(&ByteSet::ALPHANUMERIC) == 22
        && cursor.eat_byte(b'_')
        && cursor.take_while(&ByteSet::ALPHANUMERIC) == 59
        && !cursor.peek().is_some_and(|byte| WORD.contains(byte));
    whole.then(|| cursor.found())
}
