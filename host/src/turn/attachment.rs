//! Files that come with a message: what of them reaches the model, and what is recorded of them.
//!
//! A text stands behind the message's own, in a frame with its name; an image is a part of its own. In enforcing mode a
//! text goes on as the turn's bindings let it pass at the stage `file`: they judged it at its upload, or do so now. A
//! file's name is its uploader's words too, and judged as input; where it may not go on, the file's id stands for it.

use bytes::Bytes;
use gavel_log::judged::Stage;
use gavel_log::record::{Coverage, Mode};
use gavel_log::subject_form::Attachment;
use gavel_log::{Hash, apply_edits};
use gavel_sandbox::provider::{Media, Part};
use gavel_store::{Attachments, FileId, Sealed};

use super::frame::{Frame, GovernanceResult};
use super::history::{Fate, PartKey, Prompt};
use super::judge::{Judgement, SubjectFrame};
use super::passage::Passage;
use super::run::Turn;
use super::seal::governance_result;
use super::{Refused, TurnError};
use crate::config::Unjudged;
use crate::plugins::BoundSet;

/// A file that comes with a message.
#[derive(Clone, Debug)]
pub struct AttachedFile {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// What its uploader said that it is.
    pub content_type: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of them.
    pub sha256: Hash,
    /// The bindings under which it passes unchanged, if it was judged by any.
    pub judged: Option<Hash>,
    /// What of it a model can be given.
    pub body: AttachedBody,
}

/// What of a file a model can be given.
#[derive(Clone, Debug)]
pub enum AttachedBody {
    /// A text that policies can judge.
    Text(String),
    /// An image.
    Image {
        /// What its first bytes say that it is.
        media_type: &'static str,
        /// All of them.
        bytes: Bytes,
    },
    /// Nothing.
    Neither,
}

/// What a message's files add to it.
#[derive(Default)]
pub(super) struct Enclosed {
    files: Vec<FileId>,
    /// What stands behind the message's own text.
    text: String,
    images: Vec<Media>,
    attachments: Vec<Attachment>,
    /// Bytes that no policy could judge.
    unjudged: u64,
    /// What was judged for this turn: where its record stands among the seal's earlier ones, and its verdicts.
    verdicts: Vec<(usize, FileId, Judgement)>,
}

/// Whether the files may come with a message to an agent with these bindings.
pub(super) fn check(files: &[AttachedFile], set: &BoundSet, mode: Mode, unjudged: Unjudged) -> Result<(), Refused> {
    let enforced = mode == Mode::Enforcing || set.enforces(mode);
    let refused = |file: &&AttachedFile| {
        let judged = matches!(file.body, AttachedBody::Text(_)) && judges_files(set, mode);
        enforced && !judged && unjudged == Unjudged::Refuse
    };
    if let Some(file) = files.iter().find(refused) {
        return Err(Refused::Unjudged(file.id));
    }
    match files.iter().find(|file| matches!(file.body, AttachedBody::Neither)) {
        Some(file) => Err(Refused::Unsupported(file.id)),
        None => Ok(()),
    }
}

/// Whether a binding that is obeyed judges files.
fn judges_files(set: &BoundSet, mode: Mode) -> bool {
    set.at(Stage::File).iter().any(|binding| binding.enforces(mode))
}

impl Turn {
    /// Makes of the message's files what goes on with it. Records of those that had to be judged join the prompt's.
    pub(super) async fn enclose(&self, prompt: &mut Prompt) -> Result<Enclosed, TurnError> {
        let mut enclosed = Enclosed::default();
        for file in &self.begun.request.files {
            let name = self.passed_name(&file.name, prompt).await?.unwrap_or_else(|| file.id.to_string());
            enclosed.files.push(file.id);
            enclosed.attachments.push(Attachment {
                media_type: file.content_type.clone(),
                sha256: file.sha256,
                size: file.size,
            });
            match &file.body {
                AttachedBody::Text(text) => {
                    let passed = self.passed(file, text, prompt, &mut enclosed).await?;
                    enclosed.add_text(&name, passed.as_deref());
                }
                AttachedBody::Image { media_type, bytes } => {
                    enclosed.unjudged += file.size;
                    enclosed.add_image(&name, media_type, bytes);
                }
                AttachedBody::Neither => {}
            }
        }
        Ok(enclosed)
    }

    /// The text as it passes; none if it does not.
    async fn passed(
        &self,
        file: &AttachedFile,
        text: &str,
        prompt: &mut Prompt,
        enclosed: &mut Enclosed,
    ) -> Result<Option<String>, TurnError> {
        let (set, mode) = (&self.begun.set, self.record.mode);
        if set.at(Stage::File).is_empty() {
            enclosed.unjudged += file.size;
        }
        let bindings = set.digest_in(mode);
        if !judges_files(set, mode) || file.judged == Some(bindings) {
            return Ok(Some(text.to_owned()));
        }
        let key = PartKey::of_file(&self.record.agent, text, bindings);
        let fate = match self.begun.turns.fates.get(&key) {
            Some(fate) => fate,
            None => self.judge_again(file, text, key, prompt, enclosed).await?,
        };
        match fate {
            Fate::Blocked => Ok(None),
            Fate::Passes(edits) => apply_edits(text, &edits).map(Some).map_err(|_| TurnError::Damaged("edits")),
        }
    }

    /// Judges a file that other bindings judged at its upload.
    async fn judge_again(
        &self,
        file: &AttachedFile,
        text: &str,
        key: PartKey,
        prompt: &mut Prompt,
        enclosed: &mut Enclosed,
    ) -> Result<Fate, TurnError> {
        let mut facts = self.subject.facts.clone();
        facts.extend(file_facts(&file.name, &file.content_type));
        facts.sort();
        let frame = SubjectFrame {
            model: self.subject.model.clone(),
            provider: self.subject.provider.clone(),
            now_ms: self.subject.now_ms,
            facts,
            history: Vec::new(),
        };
        let judgement = Judgement::of(&self.begun.set, &frame, Stage::File, self.record.mode, text).await;
        let passage = Passage::of(&judgement, text);
        let subject = frame.subject(Stage::File, text);
        let record = self.record.draft(&passage.judged(Some(self.begun.request.input), &judgement, &subject))?;
        enclosed.verdicts.push((prompt.earlier.len(), file.id, judgement));
        prompt.earlier.push(record);
        let fate = Fate::of(passage);
        prompt.fates.push((key, fate.clone()));
        Ok(fate)
    }

    /// Announces the verdicts on files that were sealed with the input, among its earlier parts.
    pub(super) async fn announce_files(&self, earlier: &[Sealed]) {
        let request = &self.begun.request;
        for (place, file, judgement) in &self.enclosed.verdicts {
            if let Some(sealed) = earlier.get(*place) {
                let result =
                    governance_result(&self.record.agent, request.input, judgement, sealed, request.caller.owner);
                let result = GovernanceResult { file_id: Some(*file), ..result };
                self.send(Frame::GovernanceResult(Box::new(result))).await;
            }
        }
    }
}

/// What policies are told of a file.
pub(super) fn file_facts(name: &str, content_type: &str) -> [(String, String); 2] {
    [("file.name".to_owned(), name.to_owned()), ("file.type".to_owned(), content_type.to_owned())]
}

impl Enclosed {
    /// A text in its frame.
    fn add_text(&mut self, name: &str, text: Option<&str>) {
        let framed = match text {
            Some(text) => format!("\n\n[file: {name}]\n{text}\n[end of file: {name}]"),
            None => format!("\n\n[file: {name}, withheld by a policy]"),
        };
        self.text.push_str(&framed);
    }

    /// An image, with a line that stays in the conversation when the image itself is not sent again.
    fn add_image(&mut self, name: &str, media_type: &str, bytes: &Bytes) {
        self.text.push_str(&format!("\n\n[image: {name}]"));
        self.images.push(Media { media_type: media_type.to_owned(), data: bytes.to_vec() });
    }

    /// The message's whole text, of which `own` is its own.
    pub(super) fn text(&self, own: &str) -> String {
        format!("{own}{}", self.text)
    }

    /// The message's parts for the provider.
    pub(super) fn parts(&self, own: &str) -> Vec<Part> {
        let images = self.images.iter().cloned().map(Part::Media);
        std::iter::once(Part::Text(self.text(own))).chain(images).collect()
    }

    /// What the message's row says of them.
    pub(super) fn stored(&self, own: &str) -> Option<Attachments> {
        (!self.files.is_empty()).then(|| Attachments { files: self.files.clone(), own_bytes: own.len() as u64 })
    }

    /// What the input's subject is committed to with.
    pub(super) fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// How far everything went: the message's own text, and what no policy could judge.
    pub(super) fn coverage(&self, own: Coverage) -> Coverage {
        Coverage { unjudged: own.unjudged + self.unjudged, ..own }
    }
}
