//! E-mail addresses: a dot-atom of RFC 5322, letters of other scripts (RFC 6531), and the disguises that people
//! use against harvesters, such as `ada (at) example [dot] com`.

use gavel_sdk::scan::{ByteSet, Cursor, Found};

use crate::signs::{is_invisible, is_space};

/// ASCII that a local part is made of, as far as addresses are met with.
pub(crate) const LOCAL: ByteSet = ByteSet::ALPHANUMERIC.and(PUNCTUATION);
/// What an address can begin with: that, or the first byte of a letter from Latin-1 to Armenian.
pub(crate) const STARTS: ByteSet = LOCAL.and(ByteSet::range(0xc3, 0xd6));

const PUNCTUATION: ByteSet = ByteSet::of(b"._%+-");
/// Most bytes of a local part. RFC 5321 allows 64; invisible characters may stand among them.
const LONGEST_LOCAL: usize = 128;
/// Most characters of a label. RFC 1035 allows 63.
const LONGEST_LABEL: usize = 63;
/// What ends file names such as `icon@2x.png`, and no domain.
const FILE_ENDINGS: &[&str] =
    &["css", "gif", "html", "jpeg", "jpg", "json", "pdf", "png", "svg", "toml", "txt", "webp", "yaml", "yml"];

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    // ASCII is excluded by the byte before; a letter of another script is not.
    if cursor.before().is_some_and(|sign| !sign.is_ascii() && is_letter(sign)) {
        return None;
    }
    let from = cursor.take_while(&PUNCTUATION);
    (1..=LONGEST_LOCAL).contains(&local(cursor)).then_some(())?;
    let local = cursor.since(from);
    sign_or_word(cursor, &['@', '\u{ff20}'], "at").then_some(())?;
    domain(cursor)?;
    let found = cursor.found_since(from);
    // The user of a repository's address: `git@example.com:team/project`.
    (!(local == "git" && cursor.eat_byte(b':'))).then_some(found)
}

/// Takes a local part; says how many bytes it has.
fn local(cursor: &mut Cursor<'_>) -> usize {
    let from = cursor.position();
    loop {
        cursor.take_while(&LOCAL);
        let beyond_ascii = |sign: char| is_letter(sign) || is_invisible(sign);
        if cursor.peek().is_none_or(|byte| byte.is_ascii()) || cursor.eat_char(beyond_ascii).is_none() {
            return cursor.position() - from;
        }
    }
}

/// Takes labels and dots, and goes back to where the longest domain ends.
fn domain(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut end = None;
    let mut labels = 0;
    loop {
        let start = cursor.position();
        let letters = run(cursor, LONGEST_LABEL, |sign| is_letter(sign) || is_invisible(sign));
        let top = cursor.since(start);
        let more = run(cursor, LONGEST_LABEL, |sign| is_letter(sign) || is_label(sign) || is_invisible(sign));
        if labels > 0 && letters >= 2 && !FILE_ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending)) {
            let whole = cursor.position();
            let cut = start + top.len();
            // `com-next` is not a top-level domain, but what stands before its hyphen is one.
            cursor.seek(cut);
            if more == 0 || cursor.peek() == Some(b'-') || top.eq_ignore_ascii_case("xn") {
                end = Some(if top.eq_ignore_ascii_case("xn") { whole } else { cut });
            }
            cursor.seek(whole);
        }
        labels += 1;
        if letters + more == 0 || !sign_or_word(cursor, &['.', '\u{3002}', '\u{ff0e}'], "dot") {
            cursor.seek(end?);
            return Some(());
        }
    }
}

/// Takes one of the signs, or the word for it in brackets with a space on either side or none.
fn sign_or_word(cursor: &mut Cursor<'_>, signs: &[char], word: &str) -> bool {
    if cursor.eat_char(|sign| signs.contains(&sign)).is_some() {
        return true;
    }
    let from = cursor.position();
    cursor.eat_char(is_space);
    let bracketed = cursor.eat(&ByteSet::of(b"([{<")).is_some()
        && cursor.eat_str_ignoring_case(word)
        && cursor.eat(&ByteSet::of(b")]}>")).is_some();
    if bracketed {
        cursor.eat_char(is_space);
    } else {
        cursor.seek(from);
    }
    bracketed
}

fn run(cursor: &mut Cursor<'_>, most: usize, test: impl Fn(char) -> bool) -> usize {
    crate::signs::take_at_most(cursor, most, test)
}

fn is_label(sign: char) -> bool {
    sign == '-' || sign.is_ascii_digit()
}

/// ASCII letters, and those of the alphabets that put spaces between words.
fn is_letter(sign: char) -> bool {
    sign.is_ascii_alphabetic() || (matches!(sign, '\u{c0}'..='\u{58f}') && sign.is_alphabetic())
}
