//! Everything that a turn commits to or records is written the quick way.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::quick;
use crate::judged::{Decision, Edit, Finding, Message, Role, Severity, Span, Stage, Subject, Verdict};
use crate::record::{
    Coverage, DecisionKind, Enforcement, Engine, FindingCount, Mode, OnError, Outcome, PolicyError, VerdictRecord,
};
use crate::subject_form::{Attachment, SubjectForm};
use crate::{Hash, MAX_INTEGER, Record, RecordSecret};

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn number() -> impl Strategy<Value = u64> {
    0..=MAX_INTEGER
}

fn stage() -> impl Strategy<Value = Stage> {
    use Stage::{File, Input, Output, Reasoning, ToolCall, ToolResult};
    select(&[Input, Output, Reasoning, ToolCall, ToolResult, File][..])
}

fn severity() -> impl Strategy<Value = Severity> {
    select(&[Severity::Low, Severity::Medium, Severity::High, Severity::Critical][..])
}

fn kind() -> impl Strategy<Value = DecisionKind> {
    use DecisionKind::{Allow, Block, Flag, Redact, Unknown};
    select(&[Allow, Flag, Redact, Block, Unknown][..])
}

fn span() -> impl Strategy<Value = Span> {
    any::<(u32, u32)>().prop_map(|(start, end)| Span { start, end })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec((span(), any::<String>()).prop_map(|(span, replacement)| Edit { span, replacement }), 0..4)
}

fn finding() -> impl Strategy<Value = Finding> {
    (any::<String>(), severity(), option::of(span()), any::<String>())
        .prop_map(|(rule, severity, span, detail)| Finding { rule, severity, span, detail })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let decision = prop_oneof![
        Just(Decision::Allow),
        Just(Decision::Flag),
        edits().prop_map(Decision::Redact),
        any::<String>().prop_map(Decision::Block),
    ];
    (decision, vec(finding(), 0..4)).prop_map(|(decision, findings)| Verdict { decision, findings })
}

fn verdict_record() -> impl Strategy<Value = VerdictRecord> {
    use PolicyError::{Deadline, Fuel, Inconsistent, Memory, Refused, Size, Stack, Trap};
    let errors = [Trap, Fuel, Deadline, Memory, Stack, Size, Inconsistent, Refused].as_slice();
    let count = (any::<String>(), severity(), number());
    let count = count.prop_map(|(rule, severity, count)| FindingCount { rule, severity, count });
    let binding = (select(&[Enforcement::Enforce, Enforcement::Observe][..]), prop::bool::ANY);
    let given = (kind(), vec(count, 0..4), number(), option::of(select(errors)), prop::bool::ANY, option::of(hash()));
    let plugin = (any::<String>(), any::<String>(), hash(), hash());
    (plugin, binding, given).prop_map(|(plugin, (enforcement, blocks), given)| {
        let (policy, version, component, config) = plugin;
        let (decision, findings, more, error, reproducible, verdict) = given;
        VerdictRecord {
            policy,
            version,
            component,
            config,
            enforcement,
            on_error: if blocks { OnError::Block } else { OnError::Allow },
            decision,
            findings,
            more,
            error,
            reproducible,
            verdict,
        }
    })
}

fn coverage() -> impl Strategy<Value = Coverage> {
    (number(), number(), option::of(number()), number()).prop_map(|(received, judged, released, unjudged)| Coverage {
        received,
        judged,
        released,
        unjudged,
    })
}

fn engine() -> impl Strategy<Value = Engine> {
    (any::<String>(), any::<u32>(), any::<String>(), hash()).prop_map(|(wit, gate, wasmtime, limits)| Engine {
        wit,
        gate,
        wasmtime,
        limits,
    })
}

fn record() -> impl Strategy<Value = Record> {
    use Outcome::{Blocked, Cancelled, Complete, Error, Interrupted};
    let names = (any::<[String; 5]>(), option::of(any::<String>()), any::<u32>());
    let how = (stage(), prop::bool::ANY, kind(), kind(), prop::bool::ANY);
    let outcome = select(&[Complete, Blocked, Cancelled, Error, Interrupted][..]);
    let hashes = [option::of(hash()), option::of(hash()), option::of(hash()), option::of(hash())];
    let parts = (names, how, outcome, vec(verdict_record(), 0..3), hashes, coverage(), engine());
    parts.prop_map(|(names, how, outcome, verdicts, hashes, coverage, engine)| {
        let ([agent, session, model, provider, time], message, v) = names;
        let (stage, enforcing, decision, would, enforced) = how;
        let mode = if enforcing { Mode::Enforcing } else { Mode::Transparent };
        let [subject, content, released, edits] = hashes;
        Record {
            v,
            agent,
            session,
            message,
            stage,
            mode,
            decision,
            would,
            enforced,
            outcome,
            verdicts,
            subject,
            content,
            released,
            edits,
            coverage,
            engine,
            model,
            provider,
            time,
        }
    })
}

fn subject() -> impl Strategy<Value = Subject> {
    let role = select(&[Role::System, Role::User, Role::Assistant, Role::Tool][..]);
    let message = (role, vec(any::<String>(), 0..3)).prop_map(|(role, parts)| Message { role, parts });
    let texts = (any::<[String; 3]>(), option::of(any::<String>()));
    let rest = (stage(), number(), vec(any::<(String, String)>(), 0..3), vec(message, 0..3));
    (texts, rest).prop_map(|(([text, model, provider], tool), (stage, now_ms, facts, history))| Subject {
        stage,
        text,
        tool,
        model,
        provider,
        now_ms,
        facts,
        history,
    })
}

fn attachments() -> impl Strategy<Value = Vec<Attachment>> {
    let attachment = (any::<String>(), number(), hash());
    vec(attachment.prop_map(|(media_type, size, sha256)| Attachment { media_type, size, sha256 }), 0..3)
}

proptest! {
    #[test]
    fn any_record_is_written_quickly(record in record()) {
        prop_assert!(quick(&record).is_some());
    }

    #[test]
    fn any_verdict_is_written_quickly(verdict in verdict()) {
        prop_assert!(quick(&verdict).is_some());
    }

    #[test]
    fn any_edits_are_written_quickly(edits in edits()) {
        prop_assert!(quick(&edits).is_some());
    }

    #[test]
    fn any_subject_is_written_quickly(subject in subject(), attachments in attachments()) {
        prop_assert!(attachments.iter().all(|file| quick(file).is_some()));
        let secret = RecordSecret::from_bytes([1; 32]);
        let (_, text) = secret.commit_subject_with(&subject, &attachments).unwrap();
        let form: SubjectForm = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(quick(&form), Some(text));
    }
}

/// The cases that every turn has.
#[test]
fn usual_verdicts_are_written_quickly() {
    const SPAN: &str = r#"{"end":16,"start":5}"#;
    let edit = Edit { span: Span { start: 5, end: 16 }, replacement: "[phone]".to_owned() };
    let finding = |span| Finding { rule: "phone".to_owned(), severity: Severity::Medium, span, detail: String::new() };
    let found = |span: &str| format!(r#"[{{"detail":"","rule":"phone","severity":"medium","span":{span}}}]"#);
    let edited = format!(r#"[{{"replacement":"[phone]","span":{SPAN}}}]"#);
    let cases = [
        (Decision::Allow, r#""allow""#.to_owned(), vec![], "[]".to_owned()),
        (Decision::Flag, r#""flag""#.to_owned(), vec![finding(None)], found("null")),
        (
            Decision::Redact(vec![edit.clone()]),
            format!(r#"{{"redact":{edited}}}"#),
            vec![finding(Some(edit.span))],
            found(SPAN),
        ),
        (Decision::Block("phone".to_owned()), r#"{"block":"phone"}"#.to_owned(), vec![], "[]".to_owned()),
    ];
    for (decision, decided, findings, found) in cases {
        let expected = format!(r#"{{"decision":{decided},"findings":{found}}}"#);
        assert_eq!(quick(&Verdict { decision, findings }), Some(expected));
    }
}
