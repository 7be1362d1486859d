//! What a request asks of a file's bytes: preconditions and ranges (RFC 9110 §13 and §14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What is answered to a request for a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// This part of it, which is not empty.
    Part(Range<u64>),
    /// Nothing: the client has it.
    Known,
    /// Nothing: it has no such part.
    Unsatisfiable,
}

/// What these headers want of a file of `size` bytes with this entity tag. Several ranges at once are not given: the
/// whole is, as RFC 9110 §14.2 allows. So it is where a range cannot be read.
pub(super) fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    if matches_any(headers, etag) {
        return Wanted::Known;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A date is never equal to an entity tag: then the whole is given, which is right for every date.
    let applies = headers.get(header::IF_RANGE).is_none() || text(header::IF_RANGE) == Some(etag);
    match text(header::RANGE).filter(|_| applies) {
        None => Wanted::Whole,
        Some(range) => part(range, size),
    }
}

fn matches_any(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn part(range: &str, size: u64) -> Wanted {
    let ends = range.trim().split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = ends.and_then(|(_, ends)| ends.trim().split_once('-')) else { return Wanted::Whole };
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) if first <= last => first..last.saturating_add(1).min(size),
        (Some(Some(first)), Some(None)) => first..size,
        (Some(None), Some(Some(from_behind))) => size.saturating_sub(from_behind)..size,
        _ => return Wanted::Whole,
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Unsatisfiable }
}

/// A number, or none where nothing stands; nothing at all for what is neither. One too large for any file reads as the
/// largest.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn want(headers: &[(HeaderName, &'static str)]) -> Wanted {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        wanted(&headers.collect(), ETAG, 100)
    }

    fn range(range: &'static str) -> Wanted {
        want(&[(header::RANGE, range)])
    }

    #[test]
    fn one_range_is_given() {
        assert_eq!(range("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(range("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(range("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(range("bytes=-1000"), Wanted::Part(0..100));
        assert_eq!(range("Bytes=99-99999999999999999999999"), Wanted::Part(99..100));
    }

    #[test]
    fn what_is_not_there_is_not_satisfiable() {
        for missing in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(missing), Wanted::Unsatisfiable, "{missing}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_range() {
        for other in
            ["bytes", "bytes=", "bytes=-", "bytes=9-0", "lines=0-9", "bytes=a-b", "bytes=0-1,5-6", "bytes=+1-2"]
        {
            assert_eq!(range(other), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_not_given() {
        let part = (header::RANGE, "bytes=0-9");
        assert_eq!(want(&[part.clone(), (header::IF_RANGE, ETAG)]), Wanted::Part(0..10));
        for other in ["\"abd\"", "W/\"abc\"", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(want(&[part.clone(), (header::IF_RANGE, other)]), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for known in [ETAG, "*", "W/\"abc\"", "\"x\", \"abc\""] {
            assert_eq!(want(&[(header::IF_NONE_MATCH, known), (header::RANGE, "bytes=0-9")]), Wanted::Known, "{known}");
        }
        assert_eq!(want(&[(header::IF_NONE_MATCH, "\"x\"")]), Wanted::Whole);
    }
}
