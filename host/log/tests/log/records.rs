//! A record's bounds, and how one that is too long is made to fit.

use gavel_log::Record;
use gavel_log::judged::Severity;
use gavel_log::record::{FindingCount, MAX_FINDINGS, MAX_RECORD_BYTES, RecordError};

use crate::sample::sample_record;

#[test]
fn a_record_is_bounded() {
    let bad = |change: fn(&mut Record)| {
        let mut record = sample_record();
        change(&mut record);
        record.to_canonical().unwrap_err()
    };
    assert!(matches!(bad(|r| r.v = 2), RecordError::Version(2)));
    assert!(matches!(bad(|r| r.agent.clear()), RecordError::Bounds("agent")));
    assert!(matches!(bad(|r| r.session = "x".repeat(65)), RecordError::Bounds("session")));
    assert!(matches!(bad(|r| r.message = Some(" ".into())), RecordError::Bounds("message")));
    assert!(matches!(bad(|r| r.model = "x".repeat(1025)), RecordError::Bounds("model")));
    assert!(matches!(bad(|r| r.time = "2026-01-01T00:00:00.000+00".into()), RecordError::Bounds("time")));
    assert!(matches!(bad(|r| r.time = "2026-01-01T24:00:00.000Z".into()), RecordError::Bounds("time")));
    assert!(matches!(bad(|r| r.verdicts = vec![r.verdicts[0].clone(); 17]), RecordError::Bounds("verdicts")));
    assert!(matches!(bad(|r| r.verdicts[0].findings = findings(65)), RecordError::Bounds("findings")));
    assert!(matches!(bad(|r| r.verdicts[0].findings[0].count = 0), RecordError::Bounds("finding")));
    assert!(matches!(bad(|r| r.verdicts[0].findings[0].rule = "a b".into()), RecordError::Bounds("finding")));
    assert!(matches!(bad(|r| r.verdicts[0].verdict = None), RecordError::Contradiction(_)));
    assert!(matches!(bad(|r| r.coverage.received = 1 << 53), RecordError::Canonical(_)));
    assert!(matches!(bad(|r| r.coverage.released = Some(u64::MAX)), RecordError::Canonical(_)));
}

#[test]
fn a_record_s_time_exists() {
    let mut record = sample_record();
    let mut takes = |time: &str| {
        record.time = time.to_owned();
        record.to_canonical().is_ok()
    };
    for right in ["2024-02-29T23:59:60.999Z", "2000-02-29T00:00:00.000Z", "0000-12-31T00:00:00.000Z"] {
        assert!(takes(right), "{right}");
    }
    for wrong in [
        "2026-02-29T00:00:00.000Z",
        "1900-02-29T00:00:00.000Z",
        "2026-04-31T00:00:00.000Z",
        "2026-00-01T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-01-00T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:60:00.000Z",
        "2026-01-01T00:00:61.000Z",
        "2026-01-01t00:00:00.000z",
        "2026-01-01 00:00:00.000Z",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.0000Z",
        "+026-01-01T00:00:00.000Z",
        "",
        "２026-01-01T00:00:00.00Z",
    ] {
        assert!(!takes(wrong), "{wrong}");
    }
}

fn findings(count: usize) -> Vec<FindingCount> {
    let finding =
        |number| FindingCount { rule: format!("a-rather-long-rule-{number}"), severity: Severity::Low, count: 1 };
    (0..count).map(finding).collect()
}

#[test]
fn a_record_with_too_many_findings_is_made_to_fit() {
    let mut record = sample_record();
    record.verdicts = vec![record.verdicts[0].clone(); 16];
    for verdict in &mut record.verdicts {
        verdict.findings = findings(MAX_FINDINGS);
        verdict.more = 5;
    }
    assert!(matches!(record.to_canonical(), Err(RecordError::Size(_))));
    let before = record.clone();
    let text = record.fit().unwrap();
    assert!(text.len() <= MAX_RECORD_BYTES);
    assert!(text.len() > MAX_RECORD_BYTES - 100, "no more is left out than needed: {}", text.len());
    assert_eq!(Record::parse(&text).unwrap(), record);
    let lengths: Vec<usize> = record.verdicts.iter().map(|verdict| verdict.findings.len()).collect();
    assert!(lengths.is_sorted_by(|a, b| a >= b) && lengths[0] - lengths[15] <= 1, "{lengths:?}");
    for (verdict, whole) in record.verdicts.iter().zip(&before.verdicts) {
        assert_eq!(verdict.findings.len() as u64 + verdict.more, MAX_FINDINGS as u64 + 5);
        assert!(whole.findings.starts_with(&verdict.findings));
    }
    assert_eq!(record.fit().unwrap(), text, "what fits stays as it is");
}
