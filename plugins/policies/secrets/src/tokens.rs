//! Tokens that begin with what their issuer chose, and go on with a known number of known characters.

use std::ops::RangeInclusive;

use gavel_sdk::policy::Severity;
use gavel_sdk::scan::{ByteSet, Cursor, Detector, Found};

use crate::WORD;

/// Most bytes that are read of one.
const REACH: usize = 512;

const DASHED: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"-"));
const BASE64URL: ByteSet = DASHED.and(ByteSet::of(b"_"));

/// One issuer's kind of token.
struct Kind {
    rule: &'static str,
    summary: &'static str,
    severity: Severity,
    /// One of them begins the token; all begin with the same byte.
    prefixes: &'static [&'static str],
    /// What follows, and how many of it.
    body: ByteSet,
    length: RangeInclusive<usize>,
    /// Fewest digits in the body.
    digits: usize,
    /// True if the body must hold both small and capital letters.
    mixed: bool,
}

/// Where two match, the earlier wins: `sk-ant-` before `sk-`.
static KINDS: &[Kind] = &[
    Kind {
        rule: "aws-access-key",
        summary: "An AWS access key id.",
        severity: Severity::High,
        prefixes: &["AKIA", "ASIA", "ABIA", "ACCA"],
        body: ByteSet::UPPER.and(ByteSet::DIGITS),
        length: 16..=16,
        digits: 0,
        mixed: false,
    },
    Kind {
        rule: "slack-token",
        summary: "A Slack token.",
        severity: Severity::High,
        prefixes: &[
            "xoxb-",
            "xoxp-",
            "xoxa-",
            "xoxr-",
            "xoxs-",
            "xoxo-",
            "xoxc-",
            "xoxd-",
            "xoxe-",
            "xoxe.xoxp-",
            "xoxe.xoxb-",
            "xapp-",
        ],
        body: DASHED.and(ByteSet::of(b"%/+=")),
        length: 20..=REACH,
        digits: 6,
        mixed: false,
    },
    Kind {
        rule: "slack-webhook",
        summary: "The address of a Slack webhook.",
        severity: Severity::High,
        prefixes: &[
            "https://hooks.slack.com/services/",
            "https://hooks.slack.com/workflows/",
            "https://hooks.slack.com/triggers/",
            "hooks.slack.com/services/",
            "hooks.slack.com/workflows/",
            "hooks.slack.com/triggers/",
        ],
        body: BASE64URL.and(ByteSet::of(b"/")),
        length: 20..=REACH,
        digits: 1,
        mixed: false,
    },
    Kind {
        rule: "stripe-key",
        summary: "A Stripe API key.",
        severity: Severity::Critical,
        prefixes: &["sk_live_", "sk_test_"],
        body: ByteSet::ALPHANUMERIC,
        length: 16..=255,
        digits: 0,
        mixed: false,
    },
    Kind {
        rule: "stripe-key",
        summary: "A Stripe API key.",
        severity: Severity::Critical,
        prefixes: &["rk_live_", "rk_test_"],
        body: ByteSet::ALPHANUMERIC,
        length: 16..=255,
        digits: 0,
        mixed: false,
    },
    Kind {
        rule: "google-api-key",
        summary: "A Google API key.",
        severity: Severity::High,
        prefixes: &["AIza"],
        body: BASE64URL,
        length: 35..=35,
        digits: 0,
        mixed: false,
    },
    Kind {
        rule: "anthropic-key",
        summary: "An Anthropic API key.",
        severity: Severity::High,
        prefixes: &["sk-ant-"],
        body: BASE64URL,
        length: 24..=REACH,
        digits: 3,
        mixed: true,
    },
    Kind {
        rule: "openai-key",
        summary: "An OpenAI API key.",
        severity: Severity::High,
        prefixes: &["sk-"],
        body: BASE64URL,
        length: 32..=REACH,
        digits: 3,
        mixed: true,
    },
];

/// One detector for each kind.
pub(crate) fn detectors() -> impl Iterator<Item = Detector> {
    KINDS.iter().map(|kind| {
        let starts: Vec<u8> = kind.prefixes.iter().filter_map(|prefix| prefix.bytes().next()).collect();
        Detector::new(kind.rule, kind.summary, |cursor: &mut Cursor<'_>| find(kind, cursor))
            .starts(ByteSet::of(&starts))
            .follows(WORD.complement())
            .reach(REACH)
            .severity(kind.severity)
    })
}

/// A token of any kind.
pub(crate) fn any(cursor: &mut Cursor<'_>) -> Option<Found> {
    KINDS.iter().find_map(|kind| cursor.probe(|inner| find(kind, inner)))
}

fn find(kind: &Kind, cursor: &mut Cursor<'_>) -> Option<Found> {
    kind.prefixes.iter().any(|prefix| cursor.eat_str(prefix)).then_some(())?;
    let from = cursor.position();
    let length = cursor.take_while(&kind.body);
    let body = cursor.since(from);
    let ends = !cursor.peek().is_some_and(|byte| WORD.contains(byte));
    let digits = body.bytes().filter(u8::is_ascii_digit).count();
    let mixed =
        body.bytes().any(|byte| byte.is_ascii_uppercase()) && body.bytes().any(|byte| byte.is_ascii_lowercase());
    let fits = kind.length.contains(&length) && digits >= kind.digits && (mixed || !kind.mixed);
    (fits && ends).then(|| cursor.found())
}
