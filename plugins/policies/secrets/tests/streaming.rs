//! Whatever is written, and however it is cut, a streamed verdict is the verdict on the whole.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use gavel_policy_secrets::Secrets;
use gavel_sdk::policy::{Policy, Stage, StreamingPolicy, Subject};
use gavel_sdk::testing::streamed_equals_whole;
use proptest::prelude::*;

const FRAGMENTS: &[&str] = &[
    concat!("AKI", "AIOSFODNN7EXAMPLE"),
    "AKIA",
    concat!("ghp", "_G4v3lTest0nlyG4v3lTest0nlyAbCd2VX68X"),
    "ghp_",
    "github_pat_",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJub25lIn0",
    ".",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "-----",
    "-----END PRIVATE KEY-----",
    "MC4CAQAwBQYDK2VwBCIEIGa8Kd3ZqL0xW5vTn7RbYca8Kd3ZqL0xW5vTn7RbYc",
    "PRIVATE KEY",
    "password",
    "aws_secret_access_key",
    "token",
    "API key",
    "=",
    ": ",
    "\"",
    "q7VxP2mZt9KcL4wB",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXAMPLEKQ",
    "sk-",
    "ant-",
    "sk_live_",
    "a8Kd3ZqL0xW5vTn7RbYca8Kd3ZqL0xW5vTn7RbYc",
    "xoxb-",
    "https://hooks.slack.com/services/",
    "AIza",
    "Bearer ",
    " ",
    "\n",
    "\\n",
    "é",
    "日本",
    "the quick brown fox",
];

fn text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        12 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => "[A-Za-z0-9_-]{0,40}",
        1 => "\\PC{0,8}",
        1 => "[A-Za-z0-9+/\n]{600,900}",
    ];
    prop::collection::vec(fragment, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn streamed_is_whole(
        text in text(),
        cuts in prop::collection::vec(any::<usize>(), 0..24),
        config in prop::sample::select(vec![
            "{}",
            r#"{"actions":{"private-key":"block","jwt":"flag"}}"#,
            r#"{"action":"block","allow":["AKIA*"]}"#,
            r#"{"actions":{"github-token":"off"}}"#,
        ]),
    ) {
        let policy = Secrets::configure(config).unwrap();
        prop_assert_eq!(streamed_equals_whole(&policy, &text, &cuts), Ok(()));
    }
}

#[test]
fn a_key_is_held_back_until_it_has_ended() {
    let policy = Secrets::configure("{}").unwrap();
    let line = "a8Kd3ZqL0xW5vTn7RbYca8Kd3ZqL0xW5vTn7RbYca8Kd3ZqL0xW5vTn7RbYc0000\n";
    let text =
        format!("Here: -----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\nDone, all of it.", line.repeat(100));
    let (start, end) = (text.find('-').unwrap(), text.rfind('-').unwrap() + 1);
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    let mut cleared = 0;
    for from in (0..text.len()).step_by(5) {
        let piece = &text[from..(from + 5).min(text.len())];
        cleared = policy.push(&mut review, piece).unwrap().cleared as usize;
        assert!(cleared <= start || cleared >= end, "{cleared} of {from}");
    }
    assert!(cleared <= start, "still held: it may go on until the review is finished");
    let verdict = policy.finish(review).unwrap();
    assert_eq!(verdict.findings.len(), 1);
    assert_eq!(verdict.findings[0].span.unwrap().end as usize, end);
}

#[test]
fn ordinary_words_are_cleared_at_once() {
    let policy = Secrets::configure("{}").unwrap();
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    let progress = policy.push(&mut review, "The quick brown fox jumps, then ").unwrap();
    assert_eq!(progress.cleared as usize, "The quick brown fox jumps, ".len());
}
