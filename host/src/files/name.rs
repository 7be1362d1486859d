//! What an uploader says of a file: harmless to store, to show, and to put into a header.

/// Most bytes of a file's name: what file systems take.
const MAX_NAME_BYTES: usize = 255;
/// Most bytes of a content type.
const MAX_CONTENT_TYPE_BYTES: usize = 255;
/// The name of a file that has none.
const UNNAMED: &str = "unnamed";
/// The type of what says nothing, or nothing that can be read.
const ANY_BYTES: &str = "application/octet-stream";

/// A name without path, control characters and signs that turn the direction of writing.
pub(super) fn safe_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !c.is_control() && !turns_writing(*c)).collect();
    let shown = shown.trim();
    if shown.is_empty() || shown.chars().all(|c| c == '.') {
        return UNNAMED.to_owned();
    }
    let mut end = shown.len().min(MAX_NAME_BYTES);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.get(..end).map_or(UNNAMED, str::trim_end).to_owned()
}

/// Unicode's controls of the direction of writing: with one, `cod.exe` can be shown as `exe.doc`.
fn turns_writing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The declared type, if it is one by RFC 9110 §8.3.1: `type/subtype` and perhaps parameters, in visible ASCII.
pub(super) fn content_type(declared: Option<&str>) -> String {
    declared.map(str::trim).filter(|declared| is_media_type(declared)).unwrap_or(ANY_BYTES).to_owned()
}

fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let plain = |c: u8| (b' '..=b'~').contains(&c);
    text.len() <= MAX_CONTENT_TYPE_BYTES
        && parameters.bytes().all(plain)
        && essence.trim_end().split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn is_token(text: &str) -> bool {
    let tchar = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !text.is_empty() && text.bytes().all(tchar)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_the_last_part_of_a_path_and_never_empty() {
        let names = [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\ada\notes.txt", "notes.txt"),
            ("Übersicht 2026.csv", "Übersicht 2026.csv"),
            ("a\u{0}b\r\nc\u{7f}.txt", "abc.txt"),
            ("\u{202e}cod.exe", "cod.exe"),
            ("", UNNAMED),
            ("..", UNNAMED),
            ("docs/", UNNAMED),
            ("  ", UNNAMED),
        ];
        for (given, safe) in names {
            assert_eq!(safe_name(given), safe, "{given:?}");
        }
        assert_eq!(safe_name(&"ü".repeat(200)).len(), 254);
    }

    #[test]
    fn a_type_that_is_none_is_any_bytes() {
        for good in ["text/plain", "image/svg+xml", "text/plain; charset=utf-8", "application/vnd.x.y+json"] {
            assert_eq!(content_type(Some(good)), good);
        }
        let long = format!("text/{}", "x".repeat(255));
        for bad in ["", "text", "text/", "/plain", "te xt/plain", "text/plain/x", "text/plain; a=\r\nb: c", &long] {
            assert_eq!(content_type(Some(bad)), ANY_BYTES, "{bad:?}");
        }
        assert_eq!(content_type(None), ANY_BYTES);
    }

    proptest! {
        #[test]
        fn whatever_is_given_becomes_a_name(given in "\\PC*|.{0,300}") {
            let name = safe_name(&given);
            prop_assert!((1..=MAX_NAME_BYTES).contains(&name.len()));
            prop_assert!(!name.contains(['/', '\\']) && !name.chars().any(char::is_control));
            prop_assert_eq!(safe_name(&name), name.clone());
        }
    }
}
