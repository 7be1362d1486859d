//! What an answer that is no success means.

use gavel_sdk::provider::Error;
use serde_json::Value;

/// Most characters of the upstream's own words that are passed on.
const MAX_WORDS: usize = 512;

/// The error for a status other than 2xx, with the upstream's words. `header` looks a response header up.
pub fn error(status: u16, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> Error {
    let why = words(status, body);
    match status {
        401 | 403 => Error::Unauthorized(why),
        429 => Error::RateLimited(retry_after(header)),
        408 | 409 | 425 => Error::Unavailable(why),
        300..=399 => Error::Unavailable(format!("{why}: redirects are not followed")),
        400..=499 => Error::InvalidRequest(why),
        _ => Error::Unavailable(why),
    }
}

/// Milliseconds, from `retry-after-ms` or `retry-after` in seconds; a date is not read.
fn retry_after(header: impl Fn(&str) -> Option<String>) -> Option<u64> {
    if let Some(ms) = header("retry-after-ms").and_then(|text| text.trim().parse().ok()) {
        return Some(ms);
    }
    let seconds: u64 = header("retry-after")?.trim().parse().ok()?;
    seconds.checked_mul(1000)
}

fn words(status: u16, body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|body| message(&body));
    said.map_or_else(|| format!("status {status}"), |said| format!("status {status}: {said}"))
}

/// The message of an error object in any of the shapes that are about.
#[must_use]
pub fn message(body: &Value) -> Option<String> {
    let shapes = ["/error/message", "/errors/0/message", "/message", "/detail", "/error"];
    let said = shapes.iter().find_map(|shape| body.pointer(shape)?.as_str())?;
    Some(said.chars().take(MAX_WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
        let header =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        error(status, header, body.as_bytes())
    }

    #[test]
    fn statuses_are_told_apart() {
        assert_eq!(of(401, &[], r#"{"error":{"message":"no"}}"#), Error::Unauthorized("status 401: no".into()));
        assert_eq!(of(403, &[], ""), Error::Unauthorized("status 403".into()));
        assert_eq!(of(404, &[], r#"{"error":"no model"}"#), Error::InvalidRequest("status 404: no model".into()));
        assert!(matches!(of(422, &[], "{}"), Error::InvalidRequest(_)));
        assert!(matches!(of(500, &[], "<html>"), Error::Unavailable(_)));
        assert!(matches!(of(302, &[], ""), Error::Unavailable(_)));
        assert!(matches!(of(408, &[], ""), Error::Unavailable(_)));
    }

    #[test]
    fn the_time_to_wait_is_read() {
        assert_eq!(of(429, &[("retry-after", "7")], ""), Error::RateLimited(Some(7000)));
        assert_eq!(of(429, &[("retry-after-ms", "120"), ("retry-after", "7")], ""), Error::RateLimited(Some(120)));
        assert_eq!(of(429, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], ""), Error::RateLimited(None));
        assert_eq!(of(429, &[("retry-after", "18446744073709551615")], ""), Error::RateLimited(None));
    }

    #[test]
    fn long_words_are_cut() {
        let Error::InvalidRequest(why) = of(400, &[], &format!(r#"{{"message":"{}"}}"#, "é".repeat(9999))) else {
            panic!()
        };
        assert_eq!(why.chars().count(), "status 400: ".len() + MAX_WORDS);
    }
}
