//! Files: a text is judged at its upload, at a stage of its own.

use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_store::{Agent, FileId, LeafDraft, Sealed, SessionId};

use super::attachment::file_facts;
use super::facts::facts;
use super::frame::GovernanceResult;
use super::history::{Fate, PartKey};
use super::judge::{Judgement, SubjectFrame};
use super::passage::Passage;
use super::seal::{RecordFrame, governance_result};
use super::{CallerFacts, Refused, TurnError, Turns};
use crate::clock;
use crate::telemetry::metrics::PoolName;
use crate::vault::SessionKey;

/// Most bytes of a text file that is judged. Larger ones no policy can judge.
pub const MAX_JUDGED_FILE_BYTES: usize = 1 << 20;

/// A text file that is to be judged.
pub struct FileText<'a> {
    /// The session of its own under which its record stands.
    pub session: SessionId,
    /// That session's key.
    pub key: SessionKey,
    /// The file's name.
    pub name: &'a str,
    /// What its uploader says that it is.
    pub content_type: &'a str,
    /// At most [`MAX_JUDGED_FILE_BYTES`].
    pub text: &'a str,
}

/// A text file after its judgement.
pub struct JudgedFile {
    agent: gavel_store::AgentId,
    judgement: Judgement,
    leaf: Option<LeafDraft>,
    blocks: bool,
    fate: Option<(PartKey, Fate)>,
    unchanged: Option<Hash>,
}

impl Turns {
    /// Judges a text file with the agent's policies; none where none of them judges files.
    ///
    /// # Errors
    /// [`Refused`]: nothing was judged.
    pub async fn judge_file(
        &self,
        agent: &Agent,
        caller: &CallerFacts,
        file: FileText<'_>,
    ) -> Result<Option<JudgedFile>, Refused> {
        let mode = self.mode(agent);
        let set = self.bound(agent).await?;
        let instances = u32::try_from(set.at(Stage::File).len()).unwrap_or(u32::MAX);
        if instances == 0 {
            return Ok(None);
        }
        let _permits = self.plugins.policies.permits(instances).ok_or_else(|| self.full(PoolName::Policies))?;
        let subject = SubjectFrame {
            model: agent.model.clone(),
            provider: agent.provider.clone(),
            now_ms: u64::try_from(clock::now_ms()).unwrap_or(0),
            facts: facts(agent, caller, file_facts(file.name, file.content_type)),
            history: Vec::new(),
        };
        let record = RecordFrame {
            agent: agent.id,
            session: file.session,
            key: file.key,
            openings: self.options.openings,
            mode,
            engine: self.engine.clone(),
            model: agent.model.clone(),
            provider: agent.provider.clone(),
            metrics: self.metrics.clone(),
        };
        let judgement = Judgement::of(&set, &subject, Stage::File, mode, file.text).await;
        let passage = Passage::of(&judgement, file.text);
        let whole = subject.subject(Stage::File, file.text);
        let leaf = record.draft(&passage.judged(None, &judgement, &whole)).map_err(TurnError::from)?;
        let unchanged = !passage.blocked && passage.edits.is_empty() && judgement.enforcing();
        let bindings = set.digest_in(mode);
        let key = PartKey::of_file(&agent.id, file.text, bindings);
        Ok(Some(JudgedFile {
            agent: agent.id,
            leaf: Some(leaf),
            blocks: passage.blocked,
            fate: judgement.enforcing().then(|| (key, Fate::of(passage))),
            unchanged: unchanged.then_some(bindings),
            judgement,
        }))
    }

    /// Remembers a verdict whose record is sealed, so that messages with the file need not judge it again.
    pub fn remember_file(&self, judged: &JudgedFile) {
        self.fates.remember(judged.fate.iter().cloned().collect());
    }
}

impl JudgedFile {
    /// Whether a verdict that is obeyed stops it.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.blocks
    }

    /// The digest of the bindings that obeyed verdicts come from, if they let it pass as it is.
    #[must_use]
    pub fn passes_unchanged_under(&self) -> Option<Hash> {
        self.unchanged
    }

    /// Its record, to be sealed; none the second time.
    pub fn take_leaf(&mut self) -> Option<LeafDraft> {
        self.leaf.take()
    }

    /// What its uploader is told when the record is sealed.
    #[must_use]
    pub fn result(self, file: FileId, sealed: &Sealed, owner: bool) -> GovernanceResult {
        let result = governance_result(&self.agent, None, &self.judgement, sealed, owner);
        GovernanceResult { file_id: Some(file), ..result }
    }
}
