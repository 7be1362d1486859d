//! International bank account numbers: ISO 13616, each country's length and structure, and the check digits
//! of ISO/IEC 7064 (MOD 97-10).

use gavel_sdk::scan::{ByteSet, Cursor, Found};

use crate::signs::{continues, digit, is_dash, is_invisible, is_space, take_at_most};

/// Most characters between two of them.
const MOST_SEPARATORS: usize = 2;

/// Runs of characters of one kind: how many, and `n` for digits, `a` for letters, `c` for either.
type Structure = &'static [(u8, u8)];

/// Sorted by country: what follows the check digits, as in the IBAN registry.
const COUNTRIES: &[([u8; 2], Structure)] = &[
    (*b"AD", &[(8, b'n'), (12, b'c')]),
    (*b"AE", &[(19, b'n')]),
    (*b"AL", &[(8, b'n'), (16, b'c')]),
    (*b"AT", &[(16, b'n')]),
    (*b"AZ", &[(4, b'a'), (20, b'c')]),
    (*b"BA", &[(16, b'n')]),
    (*b"BE", &[(12, b'n')]),
    (*b"BG", &[(4, b'a'), (6, b'n'), (8, b'c')]),
    (*b"BH", &[(4, b'a'), (14, b'c')]),
    (*b"BI", &[(23, b'n')]),
    (*b"BR", &[(23, b'n'), (1, b'a'), (1, b'c')]),
    (*b"BY", &[(4, b'c'), (4, b'n'), (16, b'c')]),
    (*b"CH", &[(5, b'n'), (12, b'c')]),
    (*b"CR", &[(18, b'n')]),
    (*b"CY", &[(8, b'n'), (16, b'c')]),
    (*b"CZ", &[(20, b'n')]),
    (*b"DE", &[(18, b'n')]),
    (*b"DJ", &[(23, b'n')]),
    (*b"DK", &[(14, b'n')]),
    (*b"DO", &[(4, b'c'), (20, b'n')]),
    (*b"EE", &[(16, b'n')]),
    (*b"EG", &[(25, b'n')]),
    (*b"ES", &[(20, b'n')]),
    (*b"FI", &[(14, b'n')]),
    (*b"FK", &[(2, b'a'), (12, b'n')]),
    (*b"FO", &[(14, b'n')]),
    (*b"FR", &[(10, b'n'), (11, b'c'), (2, b'n')]),
    (*b"GB", &[(4, b'a'), (14, b'n')]),
    (*b"GE", &[(2, b'a'), (16, b'n')]),
    (*b"GI", &[(4, b'a'), (15, b'c')]),
    (*b"GL", &[(14, b'n')]),
    (*b"GR", &[(7, b'n'), (16, b'c')]),
    (*b"GT", &[(24, b'c')]),
    (*b"HN", &[(4, b'a'), (20, b'n')]),
    (*b"HR", &[(17, b'n')]),
    (*b"HU", &[(24, b'n')]),
    (*b"IE", &[(4, b'a'), (14, b'n')]),
    (*b"IL", &[(19, b'n')]),
    (*b"IQ", &[(4, b'a'), (15, b'n')]),
    (*b"IS", &[(22, b'n')]),
    (*b"IT", &[(1, b'a'), (10, b'n'), (12, b'c')]),
    (*b"JO", &[(4, b'a'), (4, b'n'), (18, b'c')]),
    (*b"KW", &[(4, b'a'), (22, b'c')]),
    (*b"KZ", &[(3, b'n'), (13, b'c')]),
    (*b"LB", &[(4, b'n'), (20, b'c')]),
    (*b"LC", &[(4, b'a'), (24, b'c')]),
    (*b"LI", &[(5, b'n'), (12, b'c')]),
    (*b"LT", &[(16, b'n')]),
    (*b"LU", &[(3, b'n'), (13, b'c')]),
    (*b"LV", &[(4, b'a'), (13, b'c')]),
    (*b"LY", &[(21, b'n')]),
    (*b"MC", &[(10, b'n'), (11, b'c'), (2, b'n')]),
    (*b"MD", &[(20, b'c')]),
    (*b"ME", &[(18, b'n')]),
    (*b"MK", &[(3, b'n'), (10, b'c'), (2, b'n')]),
    (*b"MN", &[(16, b'n')]),
    (*b"MR", &[(23, b'n')]),
    (*b"MT", &[(4, b'a'), (5, b'n'), (18, b'c')]),
    (*b"MU", &[(4, b'a'), (19, b'n'), (3, b'a')]),
    (*b"NI", &[(4, b'a'), (20, b'n')]),
    (*b"NL", &[(4, b'a'), (10, b'n')]),
    (*b"NO", &[(11, b'n')]),
    (*b"OM", &[(3, b'n'), (16, b'c')]),
    (*b"PK", &[(4, b'a'), (16, b'c')]),
    (*b"PL", &[(24, b'n')]),
    (*b"PS", &[(4, b'a'), (21, b'c')]),
    (*b"PT", &[(21, b'n')]),
    (*b"QA", &[(4, b'a'), (21, b'c')]),
    (*b"RO", &[(4, b'a'), (16, b'c')]),
    (*b"RS", &[(18, b'n')]),
    (*b"RU", &[(14, b'n'), (15, b'c')]),
    (*b"SA", &[(2, b'n'), (18, b'c')]),
    (*b"SC", &[(4, b'a'), (20, b'n'), (3, b'a')]),
    (*b"SD", &[(14, b'n')]),
    (*b"SE", &[(20, b'n')]),
    (*b"SI", &[(15, b'n')]),
    (*b"SK", &[(20, b'n')]),
    (*b"SM", &[(1, b'a'), (10, b'n'), (12, b'c')]),
    (*b"SO", &[(19, b'n')]),
    (*b"ST", &[(21, b'n')]),
    (*b"SV", &[(4, b'a'), (20, b'n')]),
    (*b"TL", &[(19, b'n')]),
    (*b"TN", &[(20, b'n')]),
    (*b"TR", &[(6, b'n'), (16, b'c')]),
    (*b"UA", &[(6, b'n'), (19, b'c')]),
    (*b"VA", &[(18, b'n')]),
    (*b"VG", &[(4, b'a'), (16, b'n')]),
    (*b"XK", &[(16, b'n')]),
    (*b"YE", &[(4, b'a'), (4, b'n'), (18, b'c')]),
];

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    let country = [cursor.eat(&ByteSet::LETTERS)?, cursor.eat(&ByteSet::LETTERS)?];
    // Nearly every word ends here.
    if cursor.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let check = [next(cursor, b'n')?, next(cursor, b'n')?];
    let code = country.map(|letter| letter.to_ascii_uppercase());
    let index = COUNTRIES.binary_search_by(|(known, _)| known.cmp(&code)).ok()?;
    let structure = COUNTRIES.get(index)?.1;

    let mut number = Remainder::default();
    for kind in structure.iter().flat_map(|(count, kind)| std::iter::repeat_n(*kind, usize::from(*count))) {
        number.append(next(cursor, kind)?);
    }
    for value in code.into_iter().map(|letter| letter - b'A' + 10).chain(check) {
        number.append(value);
    }
    let found = cursor.found();
    (number.0 == 1 && !continues(cursor)).then_some(found)
}

/// Takes a character of that kind, and what separates it from the one before; its value is that of base 36.
fn next(cursor: &mut Cursor<'_>, kind: u8) -> Option<u8> {
    take_at_most(cursor, MOST_SEPARATORS, |sign| is_space(sign) || is_dash(sign) || is_invisible(sign));
    let sign = cursor.peek_char()?;
    let value = match digit(sign) {
        Some(value) if kind != b'a' => value,
        None if kind != b'n' && sign.is_ascii_alphabetic() => {
            u8::try_from(u32::from(sign.to_ascii_uppercase()) - u32::from('A') + 10).ok()?
        }
        _ => return None,
    };
    cursor.eat_char(|_| true);
    Some(value)
}

/// A number of any length, modulo 97.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    /// Appends the one or two decimal digits of a value.
    fn append(&mut self, value: u8) {
        let shift = if value < 10 { 10 } else { 100 };
        self.0 = (self.0 * shift + u32::from(value)) % 97;
    }
}

#[cfg(test)]
mod tests {
    use super::COUNTRIES;

    #[test]
    fn the_registry_is_sorted_and_within_bounds() {
        assert!(COUNTRIES.is_sorted_by_key(|(country, _)| *country));
        for (country, structure) in COUNTRIES {
            let length = 4 + structure.iter().map(|(count, _)| usize::from(*count)).sum::<usize>();
            assert!((15..=34).contains(&length), "{country:?}");
        }
    }
}
