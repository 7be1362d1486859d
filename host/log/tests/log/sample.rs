//! A record with all that belongs to it, and a proof of it.

use std::sync::LazyLock;

use gavel_log::judged::{Edit, Message, Role, Severity, Span, Stage, Subject, Verdict};
use gavel_log::record::{
    Coverage, DecisionKind, Enforcement, Engine, FindingCount, Mode, OnError, Outcome, VerdictRecord,
};
use gavel_log::{
    Chain, Checkpoint, Entry, Field, Hash, Opened, Opening, Origin, Proof, ProofAnswer, Record, RecordSecret,
    SigningKey, Verified, VerifyFailure, inclusion_proof, record_hash, verify,
};

use crate::memory::{MemoryTiles, leaves};

pub(crate) const CONTENT: &str = "Call +1 555 0100, naïve 😀 reader";
pub(crate) const NONCE: [u8; 32] = [3; 32];

pub(crate) fn secret() -> RecordSecret {
    RecordSecret::from_bytes([5; 32])
}

pub(crate) fn edits() -> Vec<Edit> {
    vec![Edit { span: Span { start: 5, end: 16 }, replacement: "[phone]".to_owned() }]
}

fn verdict() -> Verdict {
    Verdict { decision: gavel_log::judged::Decision::Redact(edits()), findings: Vec::new() }
}

pub(crate) fn subject() -> Subject {
    Subject {
        stage: Stage::Input,
        text: CONTENT.to_owned(),
        tool: None,
        model: "m".to_owned(),
        provider: "p".to_owned(),
        now_ms: 1,
        facts: vec![("caller.kind".to_owned(), "user".to_owned())],
        history: vec![Message { role: Role::User, parts: vec!["Hello".to_owned()] }],
    }
}

fn released() -> String {
    gavel_log::apply_edits(CONTENT, &edits()).unwrap()
}

pub(crate) fn sample_record() -> Record {
    let (secret, length) = (secret(), CONTENT.len() as u64);
    Record {
        v: 1,
        agent: "ocs_01j0000000000000000000000a".to_owned(),
        session: "ses_01j0000000000000000000000b".to_owned(),
        message: None,
        stage: Stage::Input,
        mode: Mode::Enforcing,
        decision: DecisionKind::Redact,
        would: DecisionKind::Redact,
        enforced: true,
        outcome: Outcome::Complete,
        verdicts: vec![VerdictRecord {
            policy: "pii".to_owned(),
            version: "1.0.0".to_owned(),
            component: Hash::of(b"component"),
            config: Hash::of(b"{}"),
            enforcement: Enforcement::Enforce,
            on_error: OnError::Block,
            decision: DecisionKind::Redact,
            findings: vec![FindingCount { rule: "phone".to_owned(), severity: Severity::Medium, count: 1 }],
            more: 0,
            error: None,
            reproducible: true,
            verdict: Some(secret.commit_verdict(0, &verdict()).unwrap()),
        }],
        subject: Some(secret.commit_subject(&subject()).unwrap().0),
        content: Some(secret.commit(&Field::Content, CONTENT.as_bytes())),
        released: Some(secret.commit(&Field::Released, released().as_bytes())),
        edits: Some(secret.commit_edits(&edits()).unwrap()),
        coverage: Coverage { received: length, judged: length, released: Some(length), unjudged: 0 },
        engine: Engine { wit: "0.1.0".to_owned(), gate: 1, wasmtime: "48.0.8".to_owned(), limits: Hash::of(b"l") },
        model: "m".to_owned(),
        provider: "p".to_owned(),
        time: "2026-01-01T00:00:00.000Z".to_owned(),
    }
}

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_seed([1; 32], Origin::parse("gavel.localhost/test").unwrap())
}

pub(crate) fn opening() -> Opening {
    let secret = secret();
    let edits = gavel_log::jcs::to_string(&edits()).unwrap();
    let verdict = gavel_log::jcs::to_string(&verdict()).unwrap();
    let form = secret.commit_subject(&subject()).unwrap().1;
    let opened = [
        (Field::Content, CONTENT.to_owned()),
        (Field::Released, released()),
        (Field::Edits, edits),
        (Field::Verdict(0), verdict),
        (Field::Subject, form),
        (Field::History { message: 0, part: 0 }, "Hello".to_owned()),
    ];
    Opening(opened.into_iter().map(|(field, text)| (field, Opened { text, key: secret.key(&field) })).collect())
}

/// A proof of one leaf among many, with everything opened.
fn answer() -> ProofAnswer {
    let (index, size) = (700, 777_usize);
    let key = signing_key();
    let record = sample_record().to_canonical().unwrap();
    let entry = Entry { chain: Chain([4; 16]), seq: 9, prev: Hash::of(b"prev"), record: record_hash(&NONCE, &record) };
    let mut all = leaves(size);
    all[index] = entry.leaf_hash();
    let mut tree = MemoryTiles::default();
    let root = tree.grow(&all);
    let note = key.sign(&Checkpoint { origin: key.origin().clone(), size: size as u64, root });
    let path = inclusion_proof(&tree, index as u64, size as u64).unwrap();
    let proof = Proof::new(&entry, &record, NONCE, index as u64, path, &note, false).unwrap();
    let hash = entry.leaf_hash();
    ProofAnswer {
        agent_id: sample_record().agent,
        hash,
        proof: Some(proof),
        proof_error: None,
        verification_url: format!("/verify/proof/{}", hash.tagged()),
        verification_portal: "https://verify.example/".to_owned(),
        opening: Some(opening()),
        replay: None,
    }
}

/// The answer as text, its tlog-proof, and what both prove.
pub(crate) struct Valid {
    pub(crate) answer: ProofAnswer,
    pub(crate) json: String,
    pub(crate) tlog_proof: String,
    pub(crate) by_json: Verified,
    pub(crate) by_text: Verified,
}

pub(crate) static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let answer = answer();
    let json = serde_json::to_string(&answer).unwrap();
    let tlog_proof = answer.proof.as_ref().unwrap().tlog_proof.clone();
    let (by_json, by_text) = (check(&json).unwrap(), check(&tlog_proof).unwrap());
    Valid { answer, json, tlog_proof, by_json, by_text }
});

pub(crate) fn check(input: &str) -> Result<Verified, VerifyFailure> {
    verify(input, &[signing_key().verifier_key().clone()])
}
