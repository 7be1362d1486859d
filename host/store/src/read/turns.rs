//! Reading turns and messages.

use redb::{AccessGuard, ReadTransaction, ReadableTable};

use super::MAX_PAGE;
use crate::error::StoreError;
use crate::id::{AgentId, MessageId, SessionId};
use crate::message::{MessagePosition, MessageRow, StoredMessage, TurnPart};
use crate::row;
use crate::session::Session;
use crate::store::Store;
use crate::tables::{self, PartKey, TURN};
use crate::turn::{Exchange, OpenTurn, TurnRow, TurnState};

/// Most turns that [`Store::history`] looks back over, fit for a prompt or not.
pub const MAX_LOOKBACK: usize = 4096;

impl Store {
    /// The turns whose output is not sealed, by session and number.
    ///
    /// # Errors
    /// As of every read.
    pub fn open_turns(&self) -> Result<Vec<OpenTurn>, StoreError> {
        self.disk().read(|transaction| {
            let mut open = Vec::new();
            for entry in transaction.open_table(tables::OPEN_TURNS)?.iter()? {
                let (key, data) = entry?;
                let (session, turn) = key.value();
                let row = read_turn(transaction, session, turn)?
                    .ok_or_else(|| StoreError::Corrupt(format!("open turn {turn} has no row")))?;
                let TurnRow { agent, session, turn, input, answer, .. } = row;
                open.push(OpenTurn { agent, session, turn, input, answer, data: data.value().to_vec() });
            }
            Ok(open)
        })
    }

    /// The turn of an agent whose input or answer has this id.
    ///
    /// # Errors
    /// As of every read.
    pub fn turn_by_message(&self, agent: &AgentId, message: &MessageId) -> Result<Option<TurnRow>, StoreError> {
        self.disk().read(|transaction| {
            let Some((session, turn, _)) = place(transaction, *agent, *message)? else {
                return Ok(None);
            };
            read_turn(transaction, session, turn)
        })
    }

    /// An agent's message of this id; none as well for an answer that has not been sealed or of which nothing passed.
    ///
    /// # Errors
    /// As of every read.
    pub fn message(&self, agent: &AgentId, message: &MessageId) -> Result<Option<StoredMessage>, StoreError> {
        self.disk().read(|transaction| {
            let Some(key) = place(transaction, *agent, *message)? else {
                return Ok(None);
            };
            let conversations = transaction.open_table(tables::CONVERSATIONS)?;
            conversations.get(key)?.map(|bytes| read_message(key, bytes.value())).transpose()
        })
    }

    /// A session's messages, oldest first, from the one after `after` on; at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// As of every read.
    pub fn messages(
        &self,
        session: &SessionId,
        after: Option<MessagePosition>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let (turn, first) = after.map_or((0, TURN), |after| (after.turn, after.part.key() + 1));
        self.disk().read(|transaction| {
            let conversations = transaction.open_table(tables::CONVERSATIONS)?;
            let mut page = Vec::new();
            for (from, to) in read_history(transaction, session, turn.saturating_sub(1))? {
                let from = if from == turn { (session.key(), from, first) } else { (session.key(), from, TURN) };
                for entry in conversations.range(from..=(session.key(), to, u8::MAX))? {
                    if page.len() == limit {
                        return Ok(page);
                    }
                    let (key, bytes) = entry?;
                    let key = key.value();
                    if key.2 != TURN {
                        page.push(read_message(key, bytes.value())?);
                    }
                }
            }
            Ok(page)
        })
    }

    /// The turns of a session behind number `after`, oldest first: as far back as the newest `max_turns` of them that fit
    /// a prompt reach, and at most [`MAX_LOOKBACK`].
    ///
    /// # Errors
    /// As of every read.
    pub fn history(&self, session: &SessionId, after: u64, max_turns: usize) -> Result<Vec<Exchange>, StoreError> {
        self.disk().read(|transaction| {
            let conversations = transaction.open_table(tables::CONVERSATIONS)?;
            let mut exchanges = Vec::new();
            let mut fit = 0;
            'history: for (first, last) in read_history(transaction, session, after)?.into_iter().rev() {
                let mut of_turn = Vec::new();
                // From behind, a turn's messages come before its own row, which says whether they are wanted.
                let turns = (session.key(), first, TURN)..=(session.key(), last, u8::MAX);
                for entry in conversations.range(turns)?.rev() {
                    if exchanges.len() == MAX_LOOKBACK || fit == max_turns {
                        break 'history;
                    }
                    let (key, bytes) = entry?;
                    if key.value().2 != TURN {
                        of_turn.push((key.value(), bytes));
                        continue;
                    }
                    let turn: TurnRow = row::decode("turns", bytes.value())?;
                    let exchange = exchange(&turn, of_turn.drain(..).rev())?;
                    fit += usize::from(turn.fits_a_prompt());
                    exchanges.push(exchange);
                }
            }
            exchanges.reverse();
            Ok(exchanges)
        })
    }
}

/// A turn as prompts see it, with its messages where they are wanted.
fn exchange<'a>(
    turn: &TurnRow,
    messages: impl Iterator<Item = (PartKey, AccessGuard<'a, &'static [u8]>)>,
) -> Result<Exchange, StoreError> {
    let wanted = turn.fits_a_prompt();
    let messages = messages.filter(|_| wanted).map(|(key, bytes)| read_message(key, bytes.value()));
    let messages = messages.collect::<Result<_, _>>()?;
    Ok(Exchange { turn: turn.turn, settled: turn.state != TurnState::Open, messages })
}

/// The stretches of a session's turns that are history, behind number `after`.
fn read_history(transaction: &ReadTransaction, session: &SessionId, after: u64) -> Result<Vec<(u64, u64)>, StoreError> {
    let session: Option<Session> = tables::row(&transaction.open_table(tables::SESSIONS)?, session.key(), "sessions")?;
    Ok(session.map(|session| session.history(after)).unwrap_or_default())
}

/// The place of a message that has not been cleared.
fn place(transaction: &ReadTransaction, agent: AgentId, message: MessageId) -> Result<Option<PartKey>, StoreError> {
    let places = transaction.open_table(tables::MESSAGE_PLACES)?;
    let place = places.get((agent.key(), message.key()))?.map(|place| place.value());
    let Some((session, turn, part)) = place else { return Ok(None) };
    let session: Option<Session> = tables::row(&transaction.open_table(tables::SESSIONS)?, session, "sessions")?;
    let kept = session.filter(|session| turn > session.cleared.turns);
    Ok(kept.map(|session| (session.id.key(), turn, part)))
}

fn read_turn(transaction: &ReadTransaction, session: u128, turn: u64) -> Result<Option<TurnRow>, StoreError> {
    tables::row(&transaction.open_table(tables::CONVERSATIONS)?, (session, turn, TURN), "turns")
}

/// The message that stands at `key`.
fn read_message(key: PartKey, bytes: &[u8]) -> Result<StoredMessage, StoreError> {
    let (session, turn, part) = key;
    let (row, content) = MessageRow::decode(bytes)?;
    let part = TurnPart::from_key(part)
        .ok_or_else(|| StoreError::Corrupt(format!("message {} is no part of a turn", row.id)))?;
    Ok(row.into_message(SessionId::from_key(session), MessagePosition { turn, part }, content.to_vec()))
}
