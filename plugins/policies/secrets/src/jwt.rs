//! JSON Web Tokens: RFC 7519 in the compact form of RFC 7515, three parts of base64url with dots between them.

use gavel_sdk::scan::{ByteSet, Cursor, Found};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Most bytes that are read. What goes beyond is cut off, and useless without the rest.
pub(crate) const REACH: usize = 8 * 1024;
/// Most bytes of an encoded header.
const LONGEST_HEADER: usize = 2 * 1024;

const BASE64URL: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"-_"));

/// What every header holds (RFC 7515, section 4.1.1).
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "alg")]
    _algorithm: IgnoredAny,
}

pub(crate) fn find(cursor: &mut Cursor<'_>) -> Option<Found> {
    // `{"` in base64url: nearly every word ends here.
    cursor.eat_str("eyJ").then_some(())?;
    cursor.take_while(&BASE64URL);
    let header = cursor.since(0);
    cursor.eat_byte(b'.').then_some(())?;
    let payload = cursor.take_while(&BASE64URL);
    let cut = cursor.position() == REACH;
    if !cut {
        (payload > 0 && cursor.eat_byte(b'.')).then_some(())?;
        cursor.take_while(&BASE64URL);
        // An encrypted one (RFC 7516) has five parts.
        for _ in 0..2 {
            let end = cursor.position();
            if !(cursor.eat_byte(b'.') && cursor.take_while(&BASE64URL) > 0) {
                cursor.seek(end);
                break;
            }
        }
    }
    let header = decode(header)?;
    serde_json::from_slice::<Header>(&header).is_ok().then(|| cursor.found())
}

/// Base64url without padding (RFC 4648, section 5).
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST_HEADER {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}
