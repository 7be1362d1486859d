//! The check itself is checked: policies that break the contract, each in one way.

use proptest::prelude::*;

use super::streamed_equals_whole;
use crate::policy::{
    Decision, Edit, Manifest, Policy, Progress, Rule, Severity, Span, StreamingPolicy, Subject, Verdict,
};
use crate::scan::{ByteSet, Cursor, Detector, Found, Scan, ScanPolicy};

/// Redacts every `x`, and breaks the contract as told.
struct Faulty(Fault);

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    ClearsTooMuch,
    GoesBack,
    CutsCharacter,
    ForgetsEdits,
    TakesBlockBack,
    DisagreesAtTheEnd,
}

impl Policy for Faulty {
    fn manifest() -> Manifest {
        Manifest::new("faulty", "0.0.0", "Breaks the contract.")
    }

    fn configure(_: &str) -> Result<Self, String> {
        Ok(Self(Fault::None))
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::new("x", "An x.")]
    }

    fn evaluate(&self, subject: &Subject) -> Result<Verdict, String> {
        let edits = edits(&subject.text, 0);
        Ok(Verdict { decision: Decision::Redact(edits), findings: Vec::new() })
    }
}

impl StreamingPolicy for Faulty {
    type Review = String;

    fn begin(&self, subject: Subject) -> String {
        subject.text
    }

    fn push(&self, review: &mut String, text: &str) -> Result<Progress, String> {
        let first = review.is_empty();
        let edits = edits(text, review.len());
        review.push_str(text);
        let all = u32::try_from(review.len()).unwrap();
        let mut progress = Progress { cleared: all, edits, blocked: None };
        match self.0 {
            Fault::ClearsTooMuch => progress.cleared += 1,
            Fault::GoesBack if !first => progress.cleared = 0,
            Fault::CutsCharacter => progress.cleared = 1,
            Fault::ForgetsEdits => progress.edits.clear(),
            Fault::TakesBlockBack if first => progress.blocked = Some("x".to_owned()),
            _ => {}
        }
        Ok(progress)
    }

    fn finish(&self, review: String) -> Result<Verdict, String> {
        if self.0 == Fault::DisagreesAtTheEnd {
            return Ok(Verdict::block("x", Severity::Low, "no"));
        }
        self.evaluate(&Subject::text(crate::policy::Stage::Output, review))
    }
}

fn edits(text: &str, base: usize) -> Vec<Edit> {
    let at = |offset: usize| u32::try_from(base + offset).unwrap();
    let span = |(start, _): (usize, &str)| Span { start: at(start), end: at(start + 1) };
    text.match_indices('x').map(|found| Edit { span: span(found), replacement: "-".to_owned() }).collect()
}

#[test]
fn each_breach_is_found() {
    let check = |fault| streamed_equals_whole(&Faulty(fault), "é x x", &[4]);
    assert_eq!(check(Fault::None), Ok(()));
    for (fault, words) in [
        (Fault::ClearsTooMuch, "of 4 pushed"),
        (Fault::GoesBack, "goes back"),
        (Fault::CutsCharacter, "cuts a character"),
        (Fault::ForgetsEdits, "edits below"),
        (Fault::TakesBlockBack, "taken back"),
        (Fault::DisagreesAtTheEnd, "streamed"),
    ] {
        let breach = check(fault).unwrap_err();
        assert!(breach.contains(words), "{breach}");
    }
}

/// Detectors that look ahead, behind, far, and at each other's matches.
struct Awkward;

impl Scan for Awkward {
    const NAME: &'static str = "awkward";
    const VERSION: &'static str = "0.0.0";
    const SUMMARY: &'static str = "Awkward detectors.";

    fn detectors() -> Vec<Detector> {
        let run = |cursor: &mut Cursor<'_>| -> Option<Found> {
            (cursor.take_while(&ByteSet::of(b"ab")) >= 3 && cursor.peek() != Some(b'c')).then(|| cursor.found())
        };
        let quoted = |cursor: &mut Cursor<'_>| -> Option<Found> {
            cursor.eat_byte(b'b').then_some(())?;
            cursor.take_while(&ByteSet::of(b"b").complement());
            cursor.eat_byte(b'b').then(|| cursor.found())
        };
        let after = |cursor: &mut Cursor<'_>| -> Option<Found> {
            (cursor.before() == Some('é') && cursor.behind(4) != Some('a')).then_some(())?;
            cursor.eat_char(char::is_alphabetic)?;
            Some(cursor.found())
        };
        let inner = move |cursor: &mut Cursor<'_>| -> Option<Found> {
            cursor.eat_str("c=").then_some(())?;
            let from = cursor.position();
            cursor.probe(run).is_none().then_some(())?;
            (cursor.take_while(&ByteSet::ALPHANUMERIC) >= 2).then(|| cursor.found_since(from))
        };
        vec![
            Detector::new("run", "A run.", run).follows(ByteSet::of(b"ab").complement()).reach(8),
            Detector::new("quoted", "Quoted.", quoted).starts(ByteSet::of(b"b")).reach(1500),
            Detector::new("after", "After é.", after),
            Detector::new("inner", "Inside.", inner),
        ]
    }
}

proptest! {
    #[test]
    fn any_detector_streams_as_it_judges_whole(
        text in "([abcé= ]{0,40}|b[ac=é]{600,900})",
        cuts in prop::collection::vec(any::<usize>(), 0..30),
        actions in prop::array::uniform4(prop::sample::select(vec!["redact", "block", "flag", "off"])),
        allow in prop::sample::select(vec!["bab", "*a", "b*b"]),
    ) {
        let [run, quoted, after, inner] = actions;
        let config = format!(
            r#"{{"actions":{{"run":"{run}","quoted":"{quoted}","after":"{after}","inner":"{inner}"}},"allow":["{allow}"]}}"#
        );
        let policy = ScanPolicy::<Awkward>::configure(&config).unwrap();
        prop_assert_eq!(streamed_equals_whole(&policy, &text, &cuts), Ok(()));
    }
}

#[test]
fn findings_are_bounded_but_edits_are_not() {
    let policy = ScanPolicy::<Awkward>::configure("{}").unwrap();
    let verdict = policy.evaluate(&Subject::text(crate::policy::Stage::Output, "aaa ".repeat(1500))).unwrap();
    assert_eq!(verdict.findings.len(), 1000);
    assert!(matches!(verdict.decision, Decision::Redact(edits) if edits.len() == 1500));
}

#[test]
fn configurations_that_the_schema_refuses_are_refused() {
    let words = |config: &str| ScanPolicy::<Awkward>::configure(config).unwrap_err();
    assert!(words(r#"{"actions":{"nothing":"flag"}}"#).contains("no rule"));
    assert!(words(r#"{"action":"shout"}"#).contains("shout"));
    assert!(words(r#"{"colour":"red"}"#).contains("colour"));
    assert!(words(r#"{"allow":[""]}"#).contains("allow"));
}

#[test]
fn a_block_stops_where_its_match_starts() {
    let policy = ScanPolicy::<Awkward>::configure(r#"{"actions":{"run":"block"}}"#).unwrap();
    let mut review = policy.begin(Subject::text(crate::policy::Stage::Output, ""));
    let progress = policy.push(&mut review, "éc d aaa é").unwrap();
    assert_eq!(progress.cleared, 6);
    assert_eq!(progress.blocked.as_deref(), Some("run"));
    assert_eq!(progress.edits.len(), 1, "what stands before the block is still edited");
    let later = policy.push(&mut review, " éc").unwrap();
    assert_eq!((later.cleared, later.edits.len()), (6, 0));
    let verdict = policy.finish(review).unwrap();
    assert_eq!(verdict.decision, Decision::Block("run".to_owned()));
    assert_eq!(verdict.findings.len(), 3);
}
