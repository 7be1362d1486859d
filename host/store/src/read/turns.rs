//! Reading turns and messages.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::MAX_PAGE;
use crate::error::StoreError;
use crate::id::{AgentId, MessageId, SessionId};
use crate::message::{MessagePosition, MessageRow, StoredMessage, TurnPart};
use crate::row;
use crate::store::Store;
use crate::tables::{self, MessageKey, Row};
use crate::turn::{OpenTurn, TurnRow};

/// Most turns that [`Store::history`] looks back over, fit for a prompt or not.
pub const MAX_LOOKBACK: usize = 4096;

impl Store {
    /// The turns whose output is not sealed, by session and number.
    ///
    /// # Errors
    /// As of every read.
    pub fn open_turns(&self) -> Result<Vec<OpenTurn>, StoreError> {
        self.disk().read(|transaction| {
            let turns = transaction.open_table(tables::TURNS)?;
            let mut open = Vec::new();
            for entry in transaction.open_table(tables::OPEN_TURNS)?.iter()? {
                let (key, data) = entry?;
                let row: TurnRow = tables::row(&turns, key.value(), "turns")?
                    .ok_or_else(|| StoreError::Corrupt(format!("open turn {} has no row", key.value().1)))?;
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
            tables::row(&transaction.open_table(tables::TURNS)?, (session, turn), "turns")
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
            Messages::open(transaction)?.get(key)
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
        let session = session.key();
        let after = after.map_or((session, 0, 0), |after| (session, after.turn, after.part.key() + 1));
        self.disk().read(|transaction| {
            let messages = Messages::open(transaction)?;
            let mut page = Vec::new();
            for entry in messages.rows.range(after..=(session, u64::MAX, u8::MAX))?.take(limit.min(MAX_PAGE)) {
                let (key, row) = entry?;
                page.push(messages.complete(key.value(), row::decode("messages", row.value())?)?);
            }
            Ok(page)
        })
    }

    /// The messages that a prompt of turn `below_turn` may hold: of the newest complete turns with lower numbers, at
    /// most `max_turns`, oldest first. Blocked, failed and interrupted turns are left out; at most [`MAX_LOOKBACK`]
    /// turns are looked at.
    ///
    /// # Errors
    /// As of every read.
    pub fn history(
        &self,
        session: &SessionId,
        below_turn: u64,
        max_turns: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let session = session.key();
        self.disk().read(|transaction| {
            let turns = transaction.open_table(tables::TURNS)?;
            let mut fit = Vec::new();
            for entry in turns.range((session, 0)..(session, below_turn))?.rev().take(MAX_LOOKBACK) {
                if fit.len() == max_turns {
                    break;
                }
                let turn: TurnRow = row::decode("turns", entry?.1.value())?;
                if turn.fits_a_prompt() {
                    fit.push(turn.turn);
                }
            }
            let messages = Messages::open(transaction)?;
            let mut history = Vec::with_capacity(fit.len() * 2);
            for turn in fit.into_iter().rev() {
                for part in [TurnPart::Input, TurnPart::Answer] {
                    history.extend(messages.get((session, turn, part.key()))?);
                }
            }
            Ok(history)
        })
    }
}

fn place(transaction: &ReadTransaction, agent: AgentId, message: MessageId) -> Result<Option<MessageKey>, StoreError> {
    let places = transaction.open_table(tables::MESSAGE_PLACES)?;
    Ok(places.get((agent.key(), message.key()))?.map(|place| place.value()))
}

/// The two tables that hold messages.
struct Messages {
    rows: ReadOnlyTable<MessageKey, Row>,
    contents: ReadOnlyTable<MessageKey, &'static [u8]>,
}

impl Messages {
    fn open(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            rows: transaction.open_table(tables::MESSAGES)?,
            contents: transaction.open_table(tables::CONTENTS)?,
        })
    }

    fn get(&self, key: MessageKey) -> Result<Option<StoredMessage>, StoreError> {
        let row: Option<MessageRow> = tables::row(&self.rows, key, "messages")?;
        row.map(|row| self.complete(key, row)).transpose()
    }

    fn complete(&self, key: MessageKey, row: MessageRow) -> Result<StoredMessage, StoreError> {
        let (session, turn, part) = key;
        let damaged = |why: &str| StoreError::Corrupt(format!("message {} {why}", row.id));
        let part = TurnPart::from_key(part).ok_or_else(|| damaged("is no part of a turn"))?;
        let content = self.contents.get(key)?.ok_or_else(|| damaged("has no content"))?.value().to_vec();
        Ok(row.into_message(SessionId::from_key(session), MessagePosition { turn, part }, content))
    }
}
