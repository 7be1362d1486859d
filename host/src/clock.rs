//! The one clock of the server, and the one way in which times are written.

use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Milliseconds since the Unix epoch, now.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time in milliseconds since the Unix epoch as RFC 3339 in UTC with milliseconds.
///
/// Times outside the years that RFC 3339 can write are shown as the epoch.
#[must_use]
pub fn rfc3339_ms(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .filter(|at| (0..=9999).contains(&at.year()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// The milliseconds since the Unix epoch of an RFC 3339 time; none for what is no such time, and for one that is
/// outside the years 0 to 9999 of UTC, which [`rfc3339_ms`] could not write.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    if !(0..=9999).contains(&at.year()) {
        return None;
    }
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339_ms(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339_ms(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(rfc3339_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339_ms(i64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn times_are_read_with_any_offset_and_written_again() {
        for (text, written) in [
            ("2024-02-29T12:34:56.789Z", "2024-02-29T12:34:56.789Z"),
            ("2024-02-29T14:34:56.7891+02:00", "2024-02-29T12:34:56.789Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(parse_rfc3339(text).map(rfc3339_ms).as_deref(), Some(written), "{text}");
        }
        for bad in
            ["", "2024-02-29", "2023-02-29T00:00:00Z", "9999-12-31T23:59:59-01:00", "2024-02-29T12:34:56", "1709210096"]
        {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
