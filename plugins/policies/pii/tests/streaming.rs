//! Whatever is written, and however it is cut, a streamed verdict is the verdict on the whole.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use gavel_policy_pii::Pii;
use gavel_sdk::policy::{Policy, Stage, StreamingPolicy, Subject};
use gavel_sdk::testing::streamed_equals_whole;
use proptest::prelude::*;

const FRAGMENTS: &[&str] = &[
    "4111 1111 1111 1111",
    "4111",
    "1111",
    "5555555555554444",
    "DE89 3704 0044 0532 0130 00",
    "DE89",
    "GB82 WEST",
    "536-90-4399",
    "536",
    "-90-",
    "+44 20 7946 0958",
    "(555) 234-5678",
    "555-234-",
    "00",
    "+",
    "(",
    "ada@example.com",
    "ada",
    "@",
    "example",
    ".",
    "com",
    " (at) ",
    " [dot] ",
    " ",
    "-",
    "\u{200b}",
    "\u{a0}",
    "é",
    "４",
    "٤",
    "日本",
    "\n",
    "the quick brown fox",
    "2024-05-06T12:34:56Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "git@example.com:x",
];

fn text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        8 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => "[0-9 .-]{0,24}",
        1 => "\\PC{0,8}",
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
            r#"{"actions":{"card":"block","email":"flag"}}"#,
            r#"{"action":"block","allow":["ada@*"]}"#,
            r#"{"actions":{"card":"off","iban":"off"}}"#,
        ]),
    ) {
        let policy = Pii::configure(config).unwrap();
        prop_assert_eq!(streamed_equals_whole(&policy, &text, &cuts), Ok(()));
    }
}

#[test]
fn no_digit_of_a_card_is_cleared_before_it_is_known() {
    let policy = Pii::configure("{}").unwrap();
    let text = "Your card is 4111 1111 1111 1111, thank you.";
    let card = text.find('4').unwrap()..text.find(',').unwrap();
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    for (pushed, sign) in text.char_indices() {
        let progress = policy.push(&mut review, &text[pushed..pushed + sign.len_utf8()]).unwrap();
        let cleared = progress.cleared as usize;
        assert!(cleared <= card.start || cleared >= card.end, "{cleared} after {pushed}");
    }
}

#[test]
fn ordinary_words_are_cleared_at_once() {
    let policy = Pii::configure("{}").unwrap();
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    let progress = policy.push(&mut review, "The quick brown fox jumps, then ").unwrap();
    assert_eq!(progress.cleared as usize, "The quick brown fox jumps, ".len());
}
