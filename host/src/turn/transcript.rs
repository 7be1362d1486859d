//! Conversations as they went on, decrypted once and remembered while they are talked about.

use std::sync::{Arc, Mutex, PoisonError};

use gavel_log::Hash;
use gavel_log::judged::Role;
use gavel_store::{Exchange, MessageId, Session, SessionId, Store, StoredMessage};
use lru::LruCache;

use super::TurnError;
use crate::vault::SessionKey;

/// Most turns of a prompt: the newest ones.
const MAX_TURNS: usize = 100;
/// Most bytes of a prompt's history: the newest messages that fit.
const MAX_BYTES: usize = 512 << 10;
/// About the bytes that are remembered, of all sessions together.
const REMEMBERED_BYTES: usize = 64 << 20;
/// About the bytes that a session costs without any message.
const SESSION_BYTES: usize = 256;

/// A message as it went on.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) id: MessageId,
    pub(super) role: Role,
    pub(super) text: String,
    /// The digest of the bindings that have judged it.
    pub(super) judged: Option<Hash>,
    turn: u64,
}

/// The newest messages of a session that a prompt may hold, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Transcript {
    pub(super) messages: Vec<Arc<Said>>,
    /// The number of its newest turn that fits a prompt.
    pub(super) turns: u64,
}

/// A transcript up to a turn that none before can change any more.
#[derive(Clone, Default)]
struct Settled {
    transcript: Transcript,
    /// That turn's number; 0 for none.
    through: u64,
    /// The session's epoch when it was read.
    epoch: u64,
}

/// The beginnings of sessions that will not change, the ones talked about last.
pub(super) struct Transcripts(Mutex<Remembered>);

struct Remembered {
    sessions: LruCache<SessionId, Settled>,
    bytes: usize,
}

impl Transcripts {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Remembered { sessions: LruCache::unbounded(), bytes: 0 }))
    }

    /// The session's transcript as it is now: only what is not remembered of it is read. What is remembered of another
    /// epoch is not its history any more.
    pub(super) fn read(&self, store: &Store, session: &Session, key: &SessionKey) -> Result<Transcript, TurnError> {
        let (id, epoch) = (session.id, session.epoch);
        let known = self.recall(&id).filter(|known| known.epoch == epoch);
        let Settled { mut transcript, mut through, .. } = known.unwrap_or_default();
        let mut settled = true;
        for exchange in store.history(&id, through, MAX_TURNS)? {
            if settled && !exchange.settled {
                settled = false;
                self.remember(id, Settled { transcript: transcript.clone(), through, epoch });
            }
            through = exchange.turn;
            transcript.extend(exchange, key)?;
        }
        if settled {
            self.remember(id, Settled { transcript: transcript.clone(), through, epoch });
        }
        Ok(transcript)
    }

    /// Forgets a session of which something has changed.
    pub(super) fn forget(&self, session: &SessionId) {
        self.remembered().forget(session);
    }

    fn recall(&self, session: &SessionId) -> Option<Settled> {
        self.remembered().sessions.get(session).cloned()
    }

    /// Keeps what was read; not what a turn has read that was overtaken by a change of the session's history.
    fn remember(&self, session: SessionId, settled: Settled) {
        let mut remembered = self.remembered();
        if remembered.sessions.peek(&session).is_some_and(|newer| newer.epoch > settled.epoch) {
            return;
        }
        remembered.forget(&session);
        remembered.bytes += settled.bytes();
        remembered.sessions.put(session, settled);
        while remembered.bytes > REMEMBERED_BYTES
            && let Some((_, oldest)) = remembered.sessions.pop_lru()
        {
            remembered.bytes -= oldest.bytes();
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn forget(&mut self, session: &SessionId) {
        if let Some(old) = self.sessions.pop(session) {
            self.bytes -= old.bytes();
        }
    }
}

impl Settled {
    fn bytes(&self) -> usize {
        let messages = self.transcript.messages.iter();
        SESSION_BYTES + messages.map(|said| size_of::<Said>() + said.text.len()).sum::<usize>()
    }
}

impl Transcript {
    /// Adds the next turn, and lets go of the oldest for which there is no room any more.
    fn extend(&mut self, exchange: Exchange, key: &SessionKey) -> Result<(), TurnError> {
        if exchange.messages.is_empty() {
            return Ok(());
        }
        self.turns = exchange.turn;
        for message in exchange.messages {
            let text = text_of(&message, key)?;
            if !text.is_empty() {
                let StoredMessage { id, turn, role, judged, .. } = message;
                self.messages.push(Arc::new(Said { id, role, text, judged, turn }));
            }
        }
        let (mut turns, mut bytes, mut newest) = (0, 0, None);
        let fits = |said: &&Arc<Said>| {
            bytes += said.text.len();
            turns += usize::from(newest.replace(said.turn) != Some(said.turn));
            bytes <= MAX_BYTES && turns <= MAX_TURNS
        };
        let kept = self.messages.iter().rev().take_while(fits).count();
        self.messages.drain(..self.messages.len() - kept);
        Ok(())
    }
}

fn text_of(message: &StoredMessage, key: &SessionKey) -> Result<String, TurnError> {
    if message.content.is_empty() {
        return Ok(String::new());
    }
    let text = key.open(message.id.to_string().as_bytes(), &message.content)?;
    String::from_utf8(text.to_vec()).map_err(|_| TurnError::Damaged("a stored message is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use gavel_store::AgentId;

    use super::*;
    use crate::config::Config;
    use crate::vault::Vault;

    fn key() -> (SessionKey, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        let vault = Vault::open(&config).unwrap();
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        let data_key = vault.new_data_key(&agent).unwrap();
        let wrapped = vault.new_session_key(&agent, &data_key, &session).unwrap();
        (vault.session_key(&agent, &data_key, &session, &wrapped).unwrap(), directory)
    }

    fn exchange(turn: u64, texts: &[&str], key: &SessionKey) -> Exchange {
        let parts = [gavel_store::TurnPart::Input, gavel_store::TurnPart::Answer];
        let messages = parts.into_iter().zip(texts).map(|(part, text)| {
            let id = MessageId::generate();
            StoredMessage {
                id,
                session: SessionId::generate(),
                turn,
                part,
                role: Role::User,
                content: key.seal(id.to_string().as_bytes(), text.as_bytes()).unwrap(),
                finish_reason: None,
                leaf_hashes: Vec::new(),
                judged: None,
                attached: None,
                created_at: 0,
            }
        });
        Exchange { turn, settled: true, messages: messages.collect() }
    }

    #[test]
    fn a_transcript_keeps_the_newest_turns_and_bytes_and_no_empty_text() {
        let (key, _directory) = key();
        let mut transcript = Transcript::default();
        let turns = MAX_TURNS as u64 + 5;
        for turn in 1..=turns {
            transcript.extend(exchange(turn, &["ask", "answer"], &key), &key).unwrap();
        }
        transcript.extend(Exchange { turn: turns + 1, settled: true, messages: Vec::new() }, &key).unwrap();
        assert_eq!((transcript.turns, transcript.messages.len()), (turns, 2 * MAX_TURNS));
        assert_eq!(transcript.messages.first().map(|said| said.turn), Some(6));

        transcript.extend(exchange(turns + 2, &["", "alone"], &key), &key).unwrap();
        assert_eq!(transcript.messages.last().map(|said| said.text.as_str()), Some("alone"));
        let long = "x".repeat(MAX_BYTES - 6);
        transcript.extend(exchange(turns + 3, &[&long, "newest"], &key), &key).unwrap();
        let kept: Vec<usize> = transcript.messages.iter().map(|said| said.text.len()).collect();
        assert_eq!(kept, [long.len(), 6]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let (key, _directory) = key();
        let transcripts = Transcripts::new();
        let text = "x".repeat(MAX_BYTES - 1000);
        let sessions: Vec<SessionId> = (0..=REMEMBERED_BYTES / MAX_BYTES).map(|_| SessionId::generate()).collect();
        let mut settled = Settled { through: 1, ..Settled::default() };
        settled.transcript.extend(exchange(1, &[&text], &key), &key).unwrap();
        for session in &sessions {
            transcripts.remember(*session, settled.clone());
            transcripts.remember(*session, settled.clone());
            assert!(transcripts.remembered().bytes <= REMEMBERED_BYTES);
        }
        let (first, last) = (sessions.first().unwrap(), sessions.last().unwrap());
        assert!(transcripts.recall(last).is_some_and(|settled| settled.through == 1));
        transcripts.remember(*first, Settled::default());
        for session in &sessions {
            transcripts.forget(session);
        }
        assert_eq!(transcripts.remembered().bytes, 0);
    }
}
