//! Digits and separators, in the variety in which they are met.

use gavel_sdk::scan::{ByteSet, Cursor};

/// The bytes with which a digit of [`digit`] can begin.
pub(crate) const DIGIT_STARTS: ByteSet = ByteSet::DIGITS.and(ByteSet::of(&[0xd9, 0xdb, 0xe0, 0xef, 0xf0]));

/// The value of a decimal digit: ASCII, Arabic-Indic, Persian, Devanagari, full-width or mathematical.
#[inline]
pub(crate) fn digit(sign: char) -> Option<u8> {
    let code = u32::from(sign);
    let zero = match code {
        0x30..=0x39 => 0x30,
        0x660..=0x669 => 0x660,
        0x6f0..=0x6f9 => 0x6f0,
        0x966..=0x96f => 0x966,
        0xff10..=0xff19 => 0xff10,
        // Five alphabets of ten digits each.
        0x1d7ce..=0x1d7ff => return u8::try_from((code - 0x1d7ce) % 10).ok(),
        _ => return None,
    };
    u8::try_from(code - zero).ok()
}

/// Takes a digit.
#[inline]
pub(crate) fn eat_digit(cursor: &mut Cursor<'_>) -> Option<u8> {
    let value = digit(cursor.peek_char()?);
    if value.is_some() {
        cursor.eat_char(|_| true);
    }
    value
}

/// Characters that are not seen: zero-width ones and the soft hyphen.
pub(crate) fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Spaces within a line.
pub(crate) fn is_space(sign: char) -> bool {
    matches!(sign, ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Hyphens, dashes and the minus sign.
pub(crate) fn is_dash(sign: char) -> bool {
    matches!(sign, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')
}

/// What can stand between the digits of a number.
pub(crate) fn is_separator(sign: char) -> bool {
    is_space(sign) || is_dash(sign) || is_invisible(sign) || matches!(sign, '.' | '/' | '\u{b7}' | '\u{2022}')
}

/// Takes at most so many characters that pass the test; says how many.
pub(crate) fn take_at_most(cursor: &mut Cursor<'_>, most: usize, test: impl Fn(char) -> bool) -> usize {
    (0..most).take_while(|_| cursor.eat_char(&test).is_some()).count()
}

/// True if the character here continues a word or a number.
pub(crate) fn continues(cursor: &mut Cursor<'_>) -> bool {
    cursor.peek_char().is_some_and(|sign| sign.is_ascii_alphanumeric() || digit(sign).is_some())
}

#[cfg(test)]
mod tests {
    use super::{DIGIT_STARTS, digit};

    #[test]
    fn every_digit_has_its_value_and_a_start() {
        for (zero, script) in [
            ('0', "ASCII"),
            ('٠', "Arabic-Indic"),
            ('۰', "Persian"),
            ('०', "Devanagari"),
            ('０', "full-width"),
            ('𝟎', "bold"),
        ] {
            for value in 0..10 {
                let sign = char::from_u32(u32::from(zero) + value).unwrap();
                assert_eq!(digit(sign).map(u32::from), Some(value), "{script}");
                assert!(DIGIT_STARTS.contains(sign.to_string().as_bytes()[0]), "{script}");
            }
        }
        assert_eq!(digit('x'), None);
        assert_eq!(digit('²'), None);
    }
}
