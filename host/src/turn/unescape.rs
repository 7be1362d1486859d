//! JSON while it is written, without the escapes that it need not have: so that what a policy reads is what a reader of
//! the JSON will.

/// Takes JSON in pieces and gives it back in pieces, each `\uXXXX` that stands for a printable character as that
/// character. The value stays the same, and so does every text without such an escape.
#[derive(Default)]
pub(super) struct Unescape {
    /// The beginning of an escape, or of a pair of them.
    held: String,
}

/// Characters of an escape.
const ESCAPE: usize = 6;

impl Unescape {
    /// Takes more; gives what is certain.
    pub(super) fn push(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + self.held.len());
        for character in text.chars() {
            if self.held.is_empty() && character != '\\' {
                out.push(character);
            } else {
                self.held.push(character);
                self.settle(&mut out);
            }
        }
        out
    }

    /// The end: what is held is no escape.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Lets go of what is held as soon as it is known what it stands for.
    fn settle(&mut self, out: &mut String) {
        let held = self.held.as_bytes();
        let (first, second) = held.split_at(held.len().min(ESCAPE));
        if begins_escape(first) && first.len() < ESCAPE {
            return;
        }
        let Some(unit) = unit(first) else {
            // Another escape, such as `\n`, or rubbish.
            match self.held.as_str() {
                "\\/" => out.push('/'),
                held => out.push_str(held),
            }
            self.held.clear();
            return;
        };
        if !(0xD800..0xDC00).contains(&unit) {
            write(&[unit], &self.held, out);
            self.held.clear();
        } else if let Some(low @ 0xDC00..0xE000) = self::unit(second) {
            write(&[unit, low], &self.held, out);
            self.held.clear();
        } else if !begins_escape(second) || second.len() == ESCAPE {
            // Half a pair without its other half, and something else behind it.
            let rest = self.held.split_off(ESCAPE);
            out.push_str(&self.held);
            self.held.clear();
            out.push_str(&self.push(&rest));
        }
    }
}

/// Whether bytes are the beginning of `\uXXXX`, or all of it.
fn begins_escape(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| match at {
        0 => *byte == b'\\',
        1 => *byte == b'u',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// The UTF-16 unit that a whole escape stands for.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u").filter(|digits| digits.len() == 4 && begins_escape(escape))?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Writes a character as itself, if JSON lets it stand so.
fn write(units: &[u16], escape: &str, out: &mut String) {
    match char::decode_utf16(units.iter().copied()).next() {
        Some(Ok(plain)) if !plain.is_control() && plain != '"' && plain != '\\' => out.push(plain),
        _ => out.push_str(escape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> String {
        let mut unescape = Unescape::default();
        let mut out = unescape.push(text);
        out.push_str(&unescape.finish());
        out
    }

    #[test]
    fn printable_characters_stand_for_themselves() {
        assert_eq!(whole(r#"{"a":"\u0034\u00e9\u4e16\ud83d\ude00\/"}"#), r#"{"a":"4é世😀/"}"#);
    }

    #[test]
    fn what_has_to_be_escaped_stays_so() {
        for text in [r#"{"a":"\u0022\\u0034\n\u0000\u005c\"\ud83d \udE00"}"#, r"\u12", r"\", r"\ud83d\u00", r"\x"] {
            assert_eq!(whole(text), text);
        }
        assert_eq!(whole(r"\ud83dA\u0041\ud83d\n\ud83d\u0034"), r"\ud83dAA\ud83d\n\ud83d4");
    }

    proptest! {
        #[test]
        fn it_says_the_same_however_it_comes(text in ".{0,20}", escapes in any::<u32>(), cuts in prop::collection::vec(0..200_usize, 0..6)) {
            let mut json = String::from("\"");
            for (index, character) in text.chars().enumerate() {
                if escapes >> (index % 32) & 1 == 1 || character.is_control() || character == '"' || character == '\\' {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        json.push_str(&format!("\\u{unit:04x}"));
                    }
                } else {
                    json.push(character);
                }
            }
            json.push('"');
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| json.is_char_boundary(cut)).collect();
            cuts.sort_unstable();
            let (mut unescape, mut out, mut at) = (Unescape::default(), String::new(), 0);
            for cut in cuts.into_iter().chain([json.len()]) {
                out.push_str(&unescape.push(&json[at..cut]));
                at = cut;
            }
            out.push_str(&unescape.finish());
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            prop_assert_eq!(out, whole(&json));
        }
    }
}
