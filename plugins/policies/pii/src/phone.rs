//! Phone numbers: international ones after `+` (ITU-T E.164) or `00`, those of the North American Numbering
//! Plan, and the commonest ways in which other countries group theirs.

use gavel_sdk::scan::{Cursor, Found};

use crate::signs::{continues, digit, eat_digit, is_dash, is_invisible, is_separator, is_space, take_at_most};

/// Most characters between two groups, as in `) `.
const MOST_SEPARATORS: usize = 3;
/// Most digits of a number with its country code.
const MOST_DIGITS: usize = 15;
/// Most groups that are read of a national number.
const MOST_GROUPS: usize = 6;

/// Lengths of the groups of national numbers that begin with 0.
const TRUNK_SHAPES: &[&[usize]] = &[
    &[2, 2, 2, 2, 2], // France
    &[2, 4, 4],       // Australia
    &[3, 3, 2, 2],    // Switzerland
    &[3, 3, 4],       // Italy, Germany
    &[3, 4, 4],       // London, Japan
    &[3, 7],          // Germany
    &[3, 8],          // Germany
    &[4, 3, 3],       // Australia
    &[4, 3, 4],       // United Kingdom
    &[4, 7],          // Germany
    &[4, 8],          // Germany
    &[5, 3, 3],       // United Kingdom
    &[5, 6],          // United Kingdom
];

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    if cursor.before().is_some_and(|sign| digit(sign).is_some()) {
        return None;
    }
    match cursor.peek()? {
        b'+' => {
            cursor.eat_byte(b'+');
            international(cursor, 8, 0)
        }
        b'(' => parenthesised(cursor),
        // A full-width plus begins as full-width digits do.
        _ if cursor.eat_char(|sign| sign == '\u{ff0b}').is_some() => international(cursor, 8, 0),
        _ => national(cursor).or_else(|| {
            cursor.seek(0);
            // Four digits of a longer number, if digits stand before them.
            let group =
                cursor.before().is_some_and(is_space) && cursor.behind(2).is_some_and(|sign| digit(sign).is_some());
            (!group && cursor.eat_str("00")).then_some(())?;
            international(cursor, 9, 2)
        }),
    }
}

/// A country code and what follows: at least so many digits, and so many separators.
fn international(cursor: &mut Cursor<'_>, least: usize, separators: usize) -> Option<Found> {
    take_at_most(cursor, 1, |sign| is_space(sign) || is_invisible(sign));
    let (mut digits, mut gaps) = (0, 0);
    let mut end = None;
    if cursor.peek_char().and_then(digit)? == 0 {
        return None;
    }
    loop {
        let mut group = 0;
        while digits + group <= MOST_DIGITS && eat_digit(cursor).is_some() {
            group += 1;
        }
        digits += group;
        if group == 0 || digits > MOST_DIGITS {
            break;
        }
        // Without a gap, eight or nine digits after a plus are as likely a sum of money.
        let enough = digits >= least && gaps >= separators && (gaps > 0 || digits >= 10);
        if enough && !continues(cursor) {
            end = Some(cursor.position());
        }
        take_at_most(cursor, MOST_SEPARATORS, |sign| is_separator(sign) || matches!(sign, '(' | ')'));
        gaps += 1;
    }
    cursor.seek(end?);
    Some(cursor.found())
}

/// `(555) 234-5678`, `(020) 7946 0958`.
fn parenthesised(cursor: &mut Cursor<'_>) -> Option<Found> {
    cursor.eat_byte(b'(');
    let mut first = None;
    let mut area = 0;
    while let Some(value) = eat_digit(cursor) {
        first.get_or_insert(value);
        area += 1;
    }
    let (trunk, plan) = (first? == 0, first? >= 2 && area == 3);
    ((trunk && (2..=6).contains(&area)) || plan).then_some(())?;
    cursor.eat_byte(b')').then_some(())?;
    take_at_most(cursor, 2, is_separator);
    let groups = Groups::read(cursor)?;
    let count = if plan {
        groups.begins(&[3, 4]).then_some(2)?
    } else {
        // One group of a local number is enough: what stands in the brackets says what it is.
        (1..=3).rev().find(|count| (9..=12).contains(&(area + groups.digits(*count))))?
    };
    groups.end(cursor, count)
}

/// `555-234-5678`, `1-800-555-0199`, `020 7946 0958`.
fn national(cursor: &mut Cursor<'_>) -> Option<Found> {
    // Not the tail of a longer number, such as a UUID's.
    let before = cursor.before();
    if before.is_some_and(|sign| is_dash(sign) || sign == '.' || sign == '/')
        && cursor.behind(2).is_some_and(|sign| sign.is_ascii_alphanumeric())
    {
        return None;
    }
    let groups = Groups::read(cursor)?;
    let count = match groups.first {
        0 => TRUNK_SHAPES.iter().filter(|shape| groups.begins(shape)).map(|shape| shape.len()).max()?,
        1 => groups.begins(&[1, 3, 3, 4]).then_some(4)?,
        _ => (groups.begins(&[3, 3, 4]) && groups.exchange >= 2).then_some(3)?,
    };
    groups.end(cursor, count)
}

/// Digits in groups with one separator between them.
#[derive(Default)]
struct Groups {
    lengths: [usize; MOST_GROUPS],
    /// Where each ends.
    ends: [usize; MOST_GROUPS],
    count: usize,
    /// The first digit of the first group.
    first: u8,
    /// The first digit of the second group.
    exchange: u8,
}

impl Groups {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut groups = Self::default();
        for (index, (length, end)) in groups.lengths.iter_mut().zip(groups.ends.iter_mut()).enumerate() {
            while let Some(value) = eat_digit(cursor) {
                match (index, *length) {
                    (0, 0) => groups.first = value,
                    (1, 0) => groups.exchange = value,
                    _ => {}
                }
                *length += 1;
            }
            if *length == 0 {
                break;
            }
            *end = cursor.position();
            groups.count += 1;
            take_at_most(cursor, 2, is_invisible);
            if cursor.eat_char(is_separator).is_none() {
                break;
            }
        }
        (groups.count > 0).then_some(groups)
    }

    fn begins(&self, shape: &[usize]) -> bool {
        self.lengths.starts_with(shape)
    }

    fn digits(&self, count: usize) -> usize {
        if count > self.count { 0 } else { self.lengths.iter().take(count).sum() }
    }

    /// A match of so many groups, unless the number visibly goes on.
    fn end(&self, cursor: &mut Cursor<'_>, count: usize) -> Option<Found> {
        cursor.seek(*self.ends.get(count.checked_sub(1)?)?);
        let found = cursor.found();
        if continues(cursor) {
            return None;
        }
        let next = self.lengths.get(count).copied().unwrap_or_default();
        let goes_on = match cursor.eat_char(|sign| is_separator(sign) && !is_invisible(sign)) {
            // `555 234 5678 24 hours a day`
            Some(sign) if is_space(sign) => next >= 3,
            Some(_) => next > 0,
            None => false,
        };
        (!goes_on).then_some(found)
    }
}
