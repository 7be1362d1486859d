//! The policy, natively: no WebAssembly, no server.

use gavel_plugin_name::Policy;
use gavel_sdk::Policy as _;
use gavel_sdk::policy::{Decision, Edit, Span, Stage, Subject, Verdict};
use gavel_sdk::testing::streamed_equals_whole;

fn configured(config: &str) -> Policy {
    Policy::configure(config).expect("a configuration")
}

fn judge(config: &str, text: &str) -> Verdict {
    configured(config).evaluate(&Subject::text(Stage::Output, text)).expect("a verdict")
}

/// Where something was found, as text.
fn found<'t>(config: &str, text: &'t str) -> Vec<&'t str> {
    let spans = judge(config, text).findings.into_iter().filter_map(|finding| finding.span);
    spans.map(|span| &text[span.start as usize..span.end as usize]).collect()
}

#[test]
fn a_code_name_is_redacted() {
    let verdict = judge(r#"{"names": ["Bluebird"]}"#, "Is Bluebird on time?");
    let edit = Edit { span: Span { start: 3, end: 11 }, replacement: "[redacted:code-name]".to_owned() };
    assert_eq!(verdict.decision, Decision::Redact(vec![edit]));
}

#[test]
fn it_blocks_or_reports_where_the_configuration_says_so() {
    let block = judge(r#"{"names": ["Bluebird"], "action": "block"}"#, "BLUEBIRD");
    assert_eq!(block.decision, Decision::Block("code-name".to_owned()));
    let flag = judge(r#"{"names": ["Bluebird"], "action": "flag"}"#, "bluebird");
    assert_eq!(flag.decision, Decision::Flag);
}

#[test]
fn offsets_are_bytes_of_utf_8() {
    for before in ["é", "世", "😀", "é世😀 "] {
        let text = format!("{before}Bluebird");
        assert_eq!(found(r#"{"names": ["Bluebird"]}"#, &text), ["Bluebird"], "{text}");
    }
    assert_eq!(found(r#"{"names": ["Éole", "計画"]}"#, "😀 Éole, 計画 and éole"), ["Éole", "計画"]);
}

#[test]
fn only_whole_words_are_found_and_the_longest_name_wins() {
    let config = r#"{"names": ["Heron", "Heron Two"]}"#;
    assert_eq!(found(config, "Herons, a_Heron, Heron2"), [""; 0]);
    assert_eq!(found(config, "Heron, HERON TWO; heron twofold"), ["Heron", "HERON TWO", "heron"]);
}

#[test]
fn a_text_that_comes_in_pieces_is_judged_as_the_whole() {
    let config = r#"{"names": ["Bluebird", "Heron", "Heron Two", "計画"]}"#;
    for text in ["Bluebird", "a heron two b", "Heron Twofold 計画😀Bluebir", "é世Bluebird😀"] {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert_eq!(streamed_equals_whole(&configured(config), text, &[first, second]), Ok(()), "{text}");
            }
        }
    }
}

#[test]
fn a_wrong_configuration_is_refused() {
    assert!(Policy::configure(r#"{"names": "Bluebird"}"#).is_err());
    assert!(Policy::configure(r#"{"colour": "blue"}"#).is_err());
}
