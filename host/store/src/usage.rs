//! What an agent has used in a calendar month.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

/// A calendar month in UTC: the years since the year 0 times twelve, and the months since January.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(u32);

impl Month {
    /// The month of a time in milliseconds since the Unix epoch. Times before the year 0 or after 9999 count as the epoch.
    #[must_use]
    pub fn of(ms: i64) -> Self {
        let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let year = u32::try_from(time.year()).unwrap_or(1970);
        Self(year * 12 + u32::from(u8::from(time.month())) - 1)
    }

    /// When it begins, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn start(self) -> i64 {
        let year = i32::try_from(self.0 / 12).ok();
        let month = u8::try_from(self.0 % 12 + 1).ok().and_then(|month| time::Month::try_from(month).ok());
        let day = year.zip(month).and_then(|(year, month)| Date::from_calendar_date(year, month, 1).ok());
        day.map_or(i64::MAX, |day| day.midnight().assume_utc().unix_timestamp().saturating_mul(1000))
    }

    /// When it ends, which is when the next one begins.
    #[must_use]
    pub fn end(self) -> i64 {
        Self(self.0.saturating_add(1)).start()
    }
}

/// What an agent has used in one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthUsage {
    /// The month.
    pub month: Month,
    /// Messages that were judged, blocked ones too.
    pub messages: u64,
    /// Tokens of prompts, as providers counted them.
    pub input_tokens: u64,
    /// Tokens of answers, likewise.
    pub output_tokens: u64,
}

/// Most that an agent may use in a month; none where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthLimits {
    /// Messages.
    pub messages: Option<u64>,
    /// Tokens of prompts.
    pub input_tokens: Option<u64>,
    /// Tokens of answers.
    pub output_tokens: Option<u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// Messages.
    Messages,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "messages",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
        })
    }
}

impl MonthUsage {
    /// What was used in the month of a time, of which this is the newest that was counted. A clock that goes back does
    /// not bring an old month back.
    #[must_use]
    pub fn at(self, ms: i64) -> Self {
        let month = Month::of(ms);
        if month > self.month { Self { month, ..Self::default() } } else { self }
    }

    /// What is used up, so that there may be no further message.
    #[must_use]
    pub fn used_up(&self, limits: &MonthLimits) -> Option<Metered> {
        let is_used_up = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
        if is_used_up(self.messages, limits.messages) {
            Some(Metered::Messages)
        } else if is_used_up(self.input_tokens, limits.input_tokens) {
            Some(Metered::InputTokens)
        } else if is_used_up(self.output_tokens, limits.output_tokens) {
            Some(Metered::OutputTokens)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T12:34:56.789Z.
    const LEAP_DAY: i64 = 1_709_210_096_789;

    #[test]
    fn a_month_begins_with_its_first_millisecond_and_ends_with_the_next_ones() {
        let month = Month::of(LEAP_DAY);
        assert_eq!((month.start(), month.end()), (1_706_745_600_000, 1_709_251_200_000));
        for (ms, same) in
            [(month.start(), true), (month.start() - 1, false), (month.end() - 1, true), (month.end(), false)]
        {
            assert_eq!(Month::of(ms) == month, same, "{ms}");
        }
        assert!(Month::of(0) < month);
        let december = Month::of(month.start() - 32 * 86_400_000);
        assert_eq!(Month::of(december.end()).start(), december.end());
    }

    #[test]
    fn a_new_month_begins_with_nothing_and_an_old_one_does_not_come_back() {
        let usage = MonthUsage { messages: 3, ..MonthUsage::default().at(LEAP_DAY) };
        assert_eq!(usage.at(Month::of(LEAP_DAY).start()).messages, 3);
        assert_eq!(usage.at(0), usage);
        let next = usage.at(Month::of(LEAP_DAY).end());
        assert_eq!((next.messages, next.month > usage.month), (0, true));
    }

    #[test]
    fn what_has_reached_its_limit_is_used_up() {
        let usage = MonthUsage { messages: 3, input_tokens: 10, output_tokens: 7, ..MonthUsage::default() };
        let limits = MonthLimits { messages: Some(4), input_tokens: None, output_tokens: Some(8) };
        assert_eq!(usage.used_up(&limits), None);
        assert_eq!(usage.used_up(&MonthLimits { messages: Some(3), ..limits }), Some(Metered::Messages));
        assert_eq!(usage.used_up(&MonthLimits { input_tokens: Some(9), ..limits }), Some(Metered::InputTokens));
        assert_eq!(usage.used_up(&MonthLimits { output_tokens: Some(0), ..limits }), Some(Metered::OutputTokens));
    }
}
