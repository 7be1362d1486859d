//! Replays with no server: from a proof that opens what it is about, and a directory of components.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavel_log::judged::{Message, Subject};
use gavel_log::record::Engine;
use gavel_log::subject_form::SubjectForm;
use gavel_log::{Field, Hash, Opening, ProofAnswer, Record, ReplayParts, jcs};
use gavel_sandbox::policy::{MAX_COMPONENT_BYTES, PolicyComponent, PolicyLimits, PolicyRuntime};

use super::{Material, Parts};
use crate::turn::engine;

/// Instances that this process needs at once, and some more.
const INSTANCES: u32 = 8;
/// Most files of a directory that are looked at.
const MAX_FILES: usize = 4096;
/// Most bytes of a configuration's file.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Why there is nothing to replay with.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The directory cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Directory(PathBuf, io::Error),
    /// No engine on this machine.
    #[error("the sandbox cannot be made: {0}")]
    Engine(String),
}

/// Components and configurations by their digests, whatever the files are called.
pub struct Directory {
    path: PathBuf,
    components: BTreeMap<Hash, PathBuf>,
    /// Files whose names say another digest than their bytes have.
    misnamed: HashMap<Hash, (PathBuf, Hash)>,
    given: ReplayParts,
    runtime: Arc<PolicyRuntime>,
    engine: Engine,
}

impl Directory {
    /// The components in a directory, and the configurations that come with a proof.
    ///
    /// # Errors
    /// If the directory cannot be read, or policies cannot be run here.
    pub fn open(path: &Path, given: ReplayParts) -> Result<Self, OfflineError> {
        let runtime = PolicyRuntime::new(PolicyLimits { max_instances: INSTANCES, ..PolicyLimits::default() }, None)
            .map_err(|error| OfflineError::Engine(format!("{error:#}")))?;
        let fault = |error| OfflineError::Directory(path.to_owned(), error);
        let (mut components, mut misnamed) = (BTreeMap::new(), HashMap::new());
        for entry in fs::read_dir(path).map_err(fault)?.take(MAX_FILES) {
            let file = entry.map_err(fault)?.path();
            if file.extension().is_none_or(|extension| extension != "wasm") {
                continue;
            }
            let Some(bytes) = read(&file, MAX_COMPONENT_BYTES as u64).map_err(fault)? else { continue };
            let digest = Hash::of(&bytes);
            let named = file.file_stem().and_then(|stem| stem.to_str()?.parse::<Hash>().ok());
            if let Some(named) = named.filter(|named| *named != digest) {
                misnamed.insert(named, (file.clone(), digest));
            }
            components.insert(digest, file);
        }
        let engine = engine(runtime.limits_digest());
        Ok(Self { path: path.to_owned(), components, misnamed, given, runtime, engine })
    }

    /// The configuration's file, where the proof does not bring it along.
    fn config_file(&self, digest: &Hash) -> Result<serde_json::Value, String> {
        let file = self.path.join(format!("{digest}.json"));
        match read(&file, MAX_CONFIG_BYTES) {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", file.display())),
            Ok(None) => Err(format!("{} is too large for a configuration", file.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "the configuration {} is neither in the proof nor in {}",
                digest.tagged(),
                self.path.display()
            )),
            Err(error) => Err(format!("{}: {error}", file.display())),
        }
    }
}

impl Parts for Directory {
    async fn component(&self, digest: &Hash) -> Result<Arc<PolicyComponent>, String> {
        let Some(file) = self.components.get(digest) else {
            return Err(match self.misnamed.get(digest) {
                Some((file, found)) => {
                    format!("{} is not what its name says: its bytes are {}", file.display(), found.tagged())
                }
                None => format!("no component in {} is {}", self.path.display(), digest.tagged()),
            });
        };
        let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let bytes = read(file, MAX_COMPONENT_BYTES as u64).map_err(|error| fault(&error))?.unwrap_or_default();
        if Hash::of(&bytes) != *digest {
            return Err(fault(&"it has changed while it was read"));
        }
        self.runtime.load(bytes.into()).await.map_err(|error| fault(&error))
    }

    fn config(&self, digest: &Hash) -> Result<serde_json::Value, String> {
        let config = match self.given.configs.get(digest) {
            Some(config) => config.clone(),
            None => self.config_file(digest)?,
        };
        let json =
            jcs::to_string(&config).map_err(|error| format!("the configuration {}: {error}", digest.tagged()))?;
        let found = Hash::of(json.as_bytes());
        if found == *digest {
            Ok(config)
        } else {
            Err(format!("the configuration given for {} is another: its digest is {}", digest.tagged(), found.tagged()))
        }
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// What a proof opens for its verdicts, or in words what it does not. Its opening has to be checked already.
///
/// # Errors
/// What is missing.
pub fn material(answer: &ProofAnswer, record: &Record) -> Result<Material, &'static str> {
    let ask = "the proof does not open what was judged: ask for it with ?opening=replay";
    let opening = answer.opening.as_ref().ok_or(ask)?;
    let text = |field| opening.0.get(&field).map(|opened| opened.text.clone());
    let (content, form) = (text(Field::Content).ok_or(ask)?, text(Field::Subject).ok_or(ask)?);
    let form: SubjectForm = serde_json::from_str(&form).map_err(|_| ask)?;
    let subject = Subject {
        history: history(&form, opening)?,
        stage: form.stage,
        text: content,
        tool: form.tool,
        model: form.model,
        provider: form.provider,
        now_ms: form.now_ms,
        facts: form.facts,
    };
    let key = |index| opening.0.get(&Field::Verdict(index)).map(|opened| opened.key.clone());
    Ok(Material {
        subject,
        streamed: answer.replay.as_ref().and_then(|parts| parts.streamed.clone()),
        keys: (0..).zip(&record.verdicts).map(|(index, _)| key(index)).collect(),
    })
}

fn history(form: &SubjectForm, opening: &Opening) -> Result<Vec<Message>, &'static str> {
    let said = (0..).zip(&form.history).map(|(message, said)| {
        let parts = (0..).zip(&said.parts).map(|(part, _)| {
            let opened = opening.0.get(&Field::History { message, part });
            opened.map(|opened| opened.text.clone()).ok_or("the proof does not open the conversation so far")
        });
        Ok(Message { role: said.role, parts: parts.collect::<Result<_, _>>()? })
    });
    said.collect()
}

/// A file's bytes; none if they are more than so many.
fn read(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
