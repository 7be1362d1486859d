//! From a judgement to a leaf's draft, and from a sealed leaf to what the client is told.

use std::sync::Arc;

use gavel_log::judged::{Edit, Finding, Stage, Subject};
use gavel_log::record::{
    Coverage, DecisionKind, Engine, FindingCount, MAX_FINDINGS, Mode, Outcome, PolicyError, RECORD_VERSION, Record,
    VerdictRecord,
};
use gavel_log::subject_form::Attachment;
use gavel_log::{Field, JcsError, RecordError, RecordSecret, Streamed, jcs, record_hash};
use gavel_store::{AgentId, LeafDraft, MessageId, Sealed, SessionId};

use super::frame::{FindingView, GovernanceResult, VerdictView, span_view};
use super::judge::{Answer, Judgement};
use super::opening::{Opening, OpeningError, OpeningParts};
use super::watch;
use crate::clock;
use crate::config::Openings;
use crate::random::random;
use crate::telemetry::Metrics;
use crate::vault::SessionKey;

/// Why a judgement cannot be made a leaf.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The record breaks a bound of its format.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A commitment's value has no canonical form.
    #[error(transparent)]
    Canonical(#[from] JcsError),
    /// The opening cannot be kept.
    #[error(transparent)]
    Opening(#[from] OpeningError),
}

/// What every record of a turn says alike.
pub(crate) struct RecordFrame {
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) key: SessionKey,
    pub(crate) openings: Openings,
    pub(crate) mode: Mode,
    pub(crate) engine: Engine,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) metrics: Arc<Metrics>,
}

/// A stage that was judged, with what was made of its text.
pub(crate) struct Judged<'a> {
    pub(crate) message: Option<MessageId>,
    pub(crate) judgement: &'a Judgement,
    pub(crate) subject: &'a Subject,
    /// The files that came with it.
    pub(crate) attachments: &'a [Attachment],
    pub(crate) outcome: Outcome,
    pub(crate) released: &'a str,
    pub(crate) edits: &'a [Edit],
    pub(crate) coverage: Coverage,
    /// Given where a policy failed while it followed the text.
    pub(crate) streamed: Option<&'a Streamed>,
}

impl RecordFrame {
    /// The leaf's draft, with fresh secrets.
    pub(crate) fn draft(&self, judged: &Judged<'_>) -> Result<LeafDraft, DraftError> {
        watch::count(&self.metrics, judged.judgement);
        let secret = RecordSecret::from_bytes(random());
        let content = judged.subject.text.as_str();
        let (verdicts, committed) = verdicts(&judged.judgement.answers, &secret)?;
        let mut record = Record {
            decision: judged.judgement.decision(),
            would: judged.judgement.would(),
            enforced: judged.judgement.enforced(),
            outcome: judged.outcome,
            verdicts,
            subject: Some(secret.commit_subject_with(judged.subject, judged.attachments)?.0),
            content: Some(secret.commit(&Field::Content, content.as_bytes())),
            released: (!judged.released.is_empty())
                .then(|| secret.commit(&Field::Released, judged.released.as_bytes())),
            edits: (!judged.edits.is_empty()).then(|| secret.commit_edits(judged.edits)).transpose()?,
            coverage: judged.coverage,
            ..self.blank(judged.message, judged.judgement.stage)
        };
        let opening = Opening::new(OpeningParts {
            secret: &secret,
            subject: judged.subject,
            edits: judged.edits,
            attachments: judged.attachments,
            verdicts: committed,
            streamed: judged.streamed,
        });
        let kept = match self.openings {
            Openings::All => true,
            Openings::JudgedOnly => !judged.judgement.answers.is_empty(),
            Openings::None => false,
        };
        self.leaf(&mut record, kept.then_some(&opening))
    }

    /// The leaf of an output that a crash cut off: what was released, and what a policy would have said, is unknown.
    pub(crate) fn interrupted(&self, answer: MessageId) -> Result<LeafDraft, DraftError> {
        self.leaf(&mut self.blank(Some(answer), Stage::Output), None)
    }

    fn leaf(&self, record: &mut Record, opening: Option<&Opening>) -> Result<LeafDraft, DraftError> {
        let nonce = random();
        let record = record.fit()?;
        let hash = record_hash(&nonce, &record);
        let opening = opening.map(|opening| opening.seal(&self.key, &hash)).transpose()?;
        Ok(LeafDraft { record, nonce, opening })
    }

    fn blank(&self, message: Option<MessageId>, stage: Stage) -> Record {
        Record {
            v: RECORD_VERSION,
            agent: self.agent.to_string(),
            session: self.session.to_string(),
            message: message.map(|id| id.to_string()),
            stage,
            mode: self.mode,
            decision: DecisionKind::Unknown,
            would: DecisionKind::Unknown,
            enforced: false,
            outcome: Outcome::Interrupted,
            verdicts: Vec::new(),
            subject: None,
            content: None,
            released: None,
            edits: None,
            coverage: Coverage { received: 0, judged: 0, released: None, unjudged: 0 },
            engine: self.engine.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            time: clock::rfc3339_ms(clock::now_ms()),
        }
    }
}

/// The verdicts as the record has them, and the texts that it commits to.
type Verdicts = (Vec<VerdictRecord>, Vec<Option<String>>);

fn verdicts(answers: &[Answer], secret: &RecordSecret) -> Result<Verdicts, JcsError> {
    let committed = answers.iter().map(|answer| answer.result.as_ref().ok().map(jcs::to_string).transpose());
    let committed = committed.collect::<Result<Vec<_>, _>>()?;
    let records = (0..).zip(answers).zip(&committed);
    let records = records.map(|((index, answer), text)| verdict(index, answer, text.as_deref(), secret)).collect();
    Ok((records, committed))
}

fn verdict(index: u32, answer: &Answer, committed: Option<&str>, secret: &RecordSecret) -> VerdictRecord {
    let component = answer.binding.policy.component();
    let findings = answer.result.as_ref().map(|verdict| verdict.findings.as_slice()).unwrap_or_default();
    let (findings, more) = counted(findings);
    let error = answer.result.as_ref().err().copied();
    VerdictRecord {
        policy: answer.binding.name().to_owned(),
        version: component.manifest.version.clone(),
        component: component.digest,
        config: answer.binding.policy.config_digest,
        enforcement: answer.binding.enforcement,
        on_error: answer.binding.on_error,
        decision: answer.decision(),
        findings,
        more,
        error,
        reproducible: error.is_none_or(PolicyError::reproducible),
        verdict: committed.map(|text| secret.commit(&Field::Verdict(index), text.as_bytes())),
    }
}

/// Equal findings counted, in order of first appearance, and how many distinct ones found no room.
pub(crate) fn counted(findings: &[Finding]) -> (Vec<FindingCount>, u64) {
    let mut counts: Vec<FindingCount> = Vec::new();
    for finding in findings {
        let same = |count: &&mut FindingCount| count.rule == finding.rule && count.severity == finding.severity;
        match counts.iter_mut().find(same) {
            Some(count) => count.count += 1,
            None => counts.push(FindingCount { rule: finding.rule.clone(), severity: finding.severity, count: 1 }),
        }
    }
    let more = counts.len().saturating_sub(MAX_FINDINGS);
    counts.truncate(MAX_FINDINGS);
    (counts, more as u64)
}

/// What the client is told of a sealed judgement. `owner`: whether it may see the plugins' free words.
pub(crate) fn governance_result(
    agent: &AgentId,
    message_id: impl Into<Option<MessageId>>,
    judgement: &Judgement,
    sealed: &Sealed,
    owner: bool,
) -> GovernanceResult {
    let leaf_hash = sealed.leaf_hash.tagged();
    GovernanceResult {
        message_id: message_id.into(),
        file_id: None,
        stage: judgement.stage,
        mode: judgement.mode,
        decision: judgement.decision(),
        would: judgement.would(),
        enforced: judgement.enforced(),
        reason: judgement.reason(),
        verdicts: judgement.answers.iter().map(|answer| verdict_view(answer, owner)).collect(),
        leaf_index: sealed.leaf_index,
        seq: sealed.seq,
        checkpoint: sealed.checkpoint.to_string(),
        proof_url: format!("/v1/agents/{agent}/proofs/{leaf_hash}"),
        leaf_hash,
        stopped: judgement.blocks(),
    }
}

fn verdict_view(answer: &Answer, owner: bool) -> VerdictView {
    let policy = &answer.binding.policy;
    let findings = answer.result.as_ref().map(|verdict| verdict.findings.as_slice()).unwrap_or_default();
    VerdictView {
        policy: answer.binding.name().to_owned(),
        version: policy.component().manifest.version.clone(),
        digest: policy.component().digest.tagged(),
        enforcement: answer.binding.enforcement,
        decision: answer.decision(),
        findings: findings
            .iter()
            .take(MAX_FINDINGS)
            .map(|finding| FindingView {
                rule: finding.rule.clone(),
                summary: policy.rules.summary(&finding.rule).unwrap_or_default().to_owned(),
                severity: finding.severity,
                span: finding.span.map(span_view),
                detail: owner.then(|| finding.detail.clone()),
            })
            .collect(),
        error: answer.result.as_ref().err().copied(),
        micros: answer.micros,
    }
}
