//! Payment card numbers: ISO/IEC 7812, 13 to 19 digits, an issuer's range and length, and the Luhn check digit.

use gavel_sdk::scan::{Cursor, Found};

use crate::signs::{digit, eat_digit, is_separator, take_at_most};

/// Most digits of a card number.
const MOST: usize = 19;
/// Most characters between two digits, as in `4111 - 1111`.
const MOST_SEPARATORS: usize = 3;

/// Ranges of the first six digits, and a bit for each length that the issuer uses.
const ISSUERS: &[(u32, u32, u32)] = &[
    (220_000, 220_499, lengths(&[16, 17, 18, 19])), // Mir
    (222_100, 272_099, lengths(&[16])),             // Mastercard
    (300_000, 305_999, lengths(&[14, 16, 19])),     // Diners Club
    (309_500, 309_599, lengths(&[14, 16, 19])),     // Diners Club
    (340_000, 349_999, lengths(&[15])),             // American Express
    (352_800, 358_999, lengths(&[16, 19])),         // JCB
    (360_000, 369_999, lengths(&[14, 19])),         // Diners Club
    (370_000, 379_999, lengths(&[15])),             // American Express
    (380_000, 399_999, lengths(&[14, 16, 19])),     // Diners Club
    (400_000, 499_999, lengths(&[13, 16, 19])),     // Visa
    (501_800, 501_899, MAESTRO),
    (502_000, 502_099, MAESTRO),
    (503_800, 503_899, MAESTRO),
    (508_500, 508_999, lengths(&[16])), // RuPay
    (510_000, 559_999, lengths(&[16])), // Mastercard
    (589_300, 589_399, MAESTRO),
    (601_100, 601_199, lengths(&[16, 19])),         // Discover
    (606_282, 606_282, lengths(&[16])),             // Hipercard
    (606_985, 608_500, lengths(&[16])),             // RuPay
    (620_000, 629_999, lengths(&[16, 17, 18, 19])), // UnionPay
    (630_400, 630_499, MAESTRO),
    (644_000, 659_999, lengths(&[16, 19])), // Discover, RuPay
    (675_900, 675_999, MAESTRO),
    (676_100, 676_399, MAESTRO),
    (810_000, 817_199, lengths(&[16, 17, 18, 19])), // UnionPay
    (979_200, 979_289, lengths(&[16])),             // Troy
];
const MAESTRO: u32 = lengths(&[13, 14, 15, 16, 17, 18, 19]);

const fn lengths(lengths: &[u32]) -> u32 {
    let mut bits = 0;
    let mut rest = lengths;
    while let [length, tail @ ..] = rest {
        bits |= 1 << *length;
        rest = tail;
    }
    bits
}

/// One digit of the run.
#[derive(Clone, Copy, Default)]
struct Sign {
    value: u8,
    /// Where it ends.
    end: usize,
    /// True if the next digit follows at once.
    joined: bool,
}

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    let before = cursor.before();
    if before.is_some_and(|sign| digit(sign).is_some()) {
        return None;
    }
    let mut signs = [Sign::default(); MOST];
    let signs = read(cursor, &mut signs)?;
    // Digits without any separator can be part of something else: an identifier, or a fraction.
    let glued = before.is_some_and(char::is_alphabetic)
        || (before == Some('.') && cursor.behind(2).is_some_and(|sign| digit(sign).is_some()));
    let prefix = signs.get(..6)?.iter().fold(0, |number, sign| number * 10 + u32::from(sign.value));
    let lengths = ISSUERS.iter().find(|(first, last, _)| (*first..=*last).contains(&prefix))?.2;
    let length = (13..=signs.len()).rev().find(|length| {
        let number = signs.get(..*length).unwrap_or_default();
        let whole = number.iter().rev().skip(1).all(|sign| sign.joined);
        lengths >> *length & 1 == 1
            && number.last().is_some_and(|last| !last.joined)
            && !(whole && (glued || letter_at(cursor, number)))
            && luhn(number)
    })?;
    cursor.seek(signs.get(length - 1)?.end);
    Some(cursor.found())
}

/// The digits from here on, as many as a card can have.
fn read<'s>(cursor: &mut Cursor<'_>, signs: &'s mut [Sign; MOST]) -> Option<&'s [Sign]> {
    let mut count = 0;
    for sign in signs.iter_mut() {
        let Some(value) = eat_digit(cursor) else { break };
        let end = cursor.position();
        let joined = cursor.peek_char().is_some_and(|next| digit(next).is_some());
        *sign = Sign { value, end, joined };
        count += 1;
        if count < MOST && !joined {
            take_at_most(cursor, MOST_SEPARATORS, is_separator);
        }
    }
    (count >= 13).then(|| signs.get(..count))?
}

/// True if a letter stands right after the number.
fn letter_at(cursor: &mut Cursor<'_>, number: &[Sign]) -> bool {
    cursor.seek(number.last().map_or(0, |last| last.end));
    cursor.peek_char().is_some_and(char::is_alphabetic)
}

/// ISO/IEC 7812-1, annex B: every second digit from the right is doubled, and the sum of the digits ends in 0.
fn luhn(number: &[Sign]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, sign)| {
            let value = u32::from(sign.value) << (place & 1);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}
