//! US social security numbers: area, group and serial, with a hyphen or a space between them.

use gavel_sdk::scan::{Cursor, Found};

use crate::signs::{continues, digit, eat_digit, is_dash, is_invisible, is_space, take_at_most};

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    // Not the tail of a longer number.
    let tail = |sign: char| is_dash(sign) && cursor.behind(2).is_some_and(|earlier| digit(earlier).is_some());
    if cursor.before().is_some_and(|sign| digit(sign).is_some() || tail(sign)) {
        return None;
    }
    let area = number(cursor, 3)?;
    let dashed = separator(cursor)?;
    let group = number(cursor, 2)?;
    (separator(cursor)? == dashed).then_some(())?;
    let serial = number(cursor, 4)?;
    let found = cursor.found();
    let given = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    let goes_on = continues(cursor) || (cursor.eat_char(is_dash).is_some() && continues(cursor));
    (given && !goes_on).then_some(found)
}

fn number(cursor: &mut Cursor<'_>, digits: usize) -> Option<u16> {
    (0..digits).try_fold(0, |number, _| Some(number * 10 + u16::from(eat_digit(cursor)?)))
}

/// Takes a hyphen or a space, with invisible characters about it; says whether it was a hyphen.
fn separator(cursor: &mut Cursor<'_>) -> Option<bool> {
    take_at_most(cursor, 2, is_invisible);
    let sign = cursor.eat_char(|sign| is_dash(sign) || is_space(sign))?;
    take_at_most(cursor, 2, is_invisible);
    Some(is_dash(sign))
}
