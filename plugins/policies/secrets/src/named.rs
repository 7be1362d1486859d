//! Secrets that only their name gives away: `password = …`, `"apiKey": "…"`, `Authorization: Bearer …`.

use gavel_sdk::scan::{ByteSet, Cursor, Found};

use crate::randomness::{few_repetitions, is_placeholder, looks_random};
use crate::{github, jwt, tokens};

/// What names are made of.
pub(crate) const NAME: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"_-."));
/// What they begin with.
pub(crate) const STARTS: ByteSet = ByteSet::LETTERS.and(ByteSet::of(b"_"));
/// Most bytes of a name and its value.
pub(crate) const REACH: usize = 512;

/// Most bytes of a name.
const LONGEST_NAME: usize = 80;
/// Most blanks about the sign between the two.
const MOST_BLANKS: usize = 4;

const BLANKS: ByteSet = ByteSet::of(b" \t");
const QUOTES: ByteSet = ByteSet::of(b"\"'`");
/// What values are made of where nothing quotes them.
const VALUE: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"+/=_-.~!@#$%^&*"));
const BASE64: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"+/="));

/// Parts of the names that secrets go by, without punctuation.
const TELLING: &[&str] = &[
    "accesskey",
    "apikey",
    "authkey",
    "authorization",
    "credential",
    "encryptionkey",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "signingkey",
    "token",
];

/// First words of names in two: `API key: …`.
const QUALIFIERS: &[&str] = &["access", "api", "auth", "client", "encryption", "private", "secret", "signing"];

/// Forty characters of base64 with a name that says what they are.
pub(crate) fn aws_secret_key(cursor: &mut Cursor<'_>) -> Option<Found> {
    let name = name(cursor)?;
    let aws = name.contains("secretaccesskey") || (name.contains("aws") && name.contains("secret"));
    aws.then_some(())?;
    let from = cursor.position();
    let forty = cursor.take_while(&BASE64) == 40 && few_repetitions(cursor.since(from));
    forty.then(|| cursor.found_since(from))
}

/// A value that looks random with a name that says that it is secret.
pub(crate) fn generic(cursor: &mut Cursor<'_>) -> Option<Found> {
    let name = name(cursor)?;
    TELLING.iter().any(|part| name.contains(part)).then_some(())?;
    let from = cursor.position();
    // What has a rule of its own is found by that one, a few bytes further on.
    let specific = [github::find, jwt::find, tokens::any];
    if specific.iter().any(|find| cursor.probe(find).is_some()) {
        return None;
    }
    cursor.take_while(&VALUE);
    let value = cursor.since(from).trim_end_matches(['.', '!', '&', '#']);
    cursor.seek(from + value.len());
    (looks_random(value) && !is_placeholder(value)).then(|| cursor.found_since(from))
}

/// Takes a name, and what stands between it and its value; the name in small letters without punctuation.
fn name(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.take_while(&NAME);
    if QUALIFIERS.iter().any(|word| cursor.since(0).eq_ignore_ascii_case(word)) && cursor.eat_byte(b' ') {
        cursor.take_while(&NAME);
    }
    let name = cursor.since(0);
    cursor.eat(&QUOTES);
    blanks(cursor);
    // `=`, `:`, `:=`, `=>` or `==`.
    cursor.eat(&ByteSet::of(b":="))?;
    cursor.eat(&ByteSet::of(b"=>"));
    (3..=LONGEST_NAME).contains(&name.len()).then_some(())?;
    blanks(cursor);
    cursor.eat(&QUOTES);
    for scheme in ["Bearer ", "Basic ", "token "] {
        cursor.eat_str_ignoring_case(scheme);
    }
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    Some(letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect())
}

fn blanks(cursor: &mut Cursor<'_>) {
    for _ in 0..MOST_BLANKS {
        if cursor.eat(&BLANKS).is_none() {
            break;
        }
    }
}
