//! Private keys in their textual encodings: PEM (RFC 7468), OpenSSH and PGP armour, also with the line breaks of
//! a JSON string.

use gavel_sdk::scan::{ByteSet, Cursor, Found};

/// Most bytes of a block; what goes beyond is cut off.
pub(crate) const REACH: usize = 16 * 1024;
/// Fewest characters of base64 in a block that is more than a placeholder.
const LEAST: usize = 32;
/// A run of so many can only be a line of a key.
const LINE: usize = 40;
/// After so many bytes without such a line this is prose about keys, or the end of one that was never closed.
const PATIENCE: usize = 512;

const BASE64: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"+/="));
const LABEL: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b" "));

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    dashes(cursor)?;
    cursor.eat_str_ignoring_case("BEGIN ").then_some(())?;
    let from = cursor.position();
    cursor.take_while(&LABEL);
    let label = cursor.since(from).to_ascii_uppercase();
    (label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK")).then_some(())?;
    dashes(cursor)?;

    let (mut total, mut last_line, header) = (0, 0, cursor.position());
    while let Some(byte) = cursor.peek() {
        if BASE64.contains(byte) {
            let run = cursor.take_while(&BASE64);
            total += run;
            if run >= LINE {
                last_line = cursor.position();
            }
        } else if byte == b'-' && end(cursor).is_some() {
            return (total >= LEAST).then(|| cursor.found());
        } else {
            cursor.eat(&ByteSet::ALL);
        }
        if cursor.position() - header.max(last_line) > PATIENCE {
            break;
        }
    }
    cursor.seek(last_line);
    (last_line > 0).then(|| cursor.found())
}

/// Takes the closing line.
fn end(cursor: &mut Cursor<'_>) -> Option<()> {
    let from = cursor.position();
    let closed = dashes(cursor).is_some() && cursor.eat_str_ignoring_case("END ") && cursor.take_while(&LABEL) > 0;
    if !closed {
        cursor.seek(from);
        return None;
    }
    dashes(cursor);
    Some(())
}

/// RFC 7468 has five.
fn dashes(cursor: &mut Cursor<'_>) -> Option<()> {
    (cursor.take_while(&ByteSet::of(b"-")) >= 4).then_some(())
}
