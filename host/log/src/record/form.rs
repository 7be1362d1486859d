//! A record's one spelling, its bounds, and the hash that an entry holds.

use sha2::{Digest as _, Sha256};

use super::{FindingCount, MAX_FINDINGS, MAX_POLICIES, MAX_RECORD_BYTES, RECORD_VERSION, Record, VerdictRecord};
use crate::hash::Hash;
use crate::jcs::{self, JcsError};

/// Domain separation from every other hash here: 'R'.
const RECORD_PREFIX: [u8; 1] = [0x52];
/// Most bytes of an identifier: an agent's, session's or message's.
const MAX_ID_BYTES: usize = 64;
/// Most bytes of any other name: a policy's, version's, model's or provider's.
const MAX_NAME_BYTES: usize = 1024;
/// Most bytes of a rule's id.
const MAX_RULE_BYTES: usize = 64;

/// Why a record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The canonical JSON is longer than [`MAX_RECORD_BYTES`].
    #[error("a record has at most {MAX_RECORD_BYTES} bytes, this has {0}")]
    Size(usize),
    /// Not the JSON of a record.
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    /// A version that this crate does not know.
    #[error("record version {0} is unknown")]
    Version(u32),
    /// A member is out of its bounds.
    #[error("the record's {0} is out of bounds")]
    Bounds(&'static str),
    /// Members that contradict each other.
    #[error("the record's {0} contradict each other")]
    Contradiction(&'static str),
    /// Not RFC 8785's form.
    #[error("the record is not canonical JSON")]
    Form,
    /// An integer beyond 2^53 − 1.
    #[error(transparent)]
    Canonical(JcsError),
}

/// What an entry's `record` holds: `SHA-256(0x52 ‖ nonce ‖ record)`. The nonce keeps a record from being guessed.
#[must_use]
pub fn record_hash(nonce: &[u8; 32], record_jcs: &str) -> Hash {
    Hash(Sha256::new().chain_update(RECORD_PREFIX).chain_update(nonce).chain_update(record_jcs).finalize().into())
}

impl Record {
    /// The record in RFC 8785's form.
    ///
    /// # Errors
    /// When a member is out of its bounds (`docs/formats.md`), members contradict each other, or the whole is longer
    /// than 32 KiB: see [`fit`](Self::fit).
    pub fn to_canonical(&self) -> Result<String, RecordError> {
        self.check()?;
        let text = jcs::to_string(self).map_err(RecordError::Canonical)?;
        if text.len() > MAX_RECORD_BYTES { Err(RecordError::Size(text.len())) } else { Ok(text) }
    }

    /// Reads a record; what is read writes back as the same text.
    ///
    /// # Errors
    /// Whenever the text is not exactly what [`to_canonical`](Self::to_canonical) gives for some record.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        if text.len() > MAX_RECORD_BYTES {
            return Err(RecordError::Size(text.len()));
        }
        let record: Self = serde_json::from_str(text)?;
        if record.to_canonical()? == text { Ok(record) } else { Err(RecordError::Form) }
    }

    /// Moves findings into `more` until the record fits its 32 KiB: always the last finding of the verdict that
    /// lists the most, of several the last such verdict.
    ///
    /// # Errors
    /// As [`to_canonical`](Self::to_canonical), when there is nothing left to move.
    pub fn fit(&mut self) -> Result<String, RecordError> {
        loop {
            let excess = match self.to_canonical() {
                Err(RecordError::Size(size)) => size.saturating_sub(MAX_RECORD_BYTES),
                settled => return settled,
            };
            let mut saved = 0;
            while saved < excess {
                saved += self.drop_finding().ok_or(RecordError::Size(MAX_RECORD_BYTES + excess))?;
            }
        }
    }

    /// Gives the bytes saved, not counting what a longer `more` costs.
    fn drop_finding(&mut self) -> Option<usize> {
        let verdict = self.verdicts.iter_mut().max_by_key(|verdict| verdict.findings.len())?;
        let finding = verdict.findings.pop()?;
        verdict.more += 1;
        let comma = usize::from(!verdict.findings.is_empty());
        jcs::to_string(&finding).ok().map(|text| text.len() + comma)
    }

    fn check(&self) -> Result<(), RecordError> {
        if self.v != RECORD_VERSION {
            return Err(RecordError::Version(self.v));
        }
        require(is_id(&self.agent), "agent")?;
        require(is_id(&self.session), "session")?;
        require(self.message.as_deref().is_none_or(is_id), "message")?;
        require(is_name(&self.model), "model")?;
        require(is_name(&self.provider), "provider")?;
        require(is_name(&self.engine.wit) && is_name(&self.engine.wasmtime), "engine")?;
        require(is_time(&self.time), "time")?;
        require(self.verdicts.len() <= MAX_POLICIES, "verdicts")?;
        self.verdicts.iter().try_for_each(check_verdict)
    }
}

fn check_verdict(verdict: &VerdictRecord) -> Result<(), RecordError> {
    require(is_name(&verdict.policy), "policy")?;
    require(is_name(&verdict.version), "version")?;
    require(verdict.findings.len() <= MAX_FINDINGS, "findings")?;
    require(verdict.findings.iter().all(is_finding), "finding")?;
    if verdict.error.is_some() == verdict.verdict.is_some() {
        return Err(RecordError::Contradiction("error and verdict"));
    }
    Ok(())
}

fn require(within: bool, member: &'static str) -> Result<(), RecordError> {
    if within { Ok(()) } else { Err(RecordError::Bounds(member)) }
}

/// Printable ASCII without spaces.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
}

fn is_finding(finding: &FindingCount) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    finding.count >= 1 && (1..=MAX_RULE_BYTES).contains(&finding.rule.len()) && finding.rule.bytes().all(letters)
}

/// RFC 3339 in UTC with three decimals, `YYYY-MM-DDThh:mm:ss.sssZ`, of a day that exists.
fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(byte, shape): (u8, &u8)| {
        if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape }
    };
    if text.len() != SHAPE.len() || !text.bytes().zip(SHAPE).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return false;
    };
    let within = |from, most| number(from, from + 2).is_some_and(|value| value <= most);
    // 60 is a leap second.
    (1..=days_in(year, month)).contains(&day) && within(11, 23) && within(14, 59) && within(17, 60)
}

/// None in a month that does not exist.
fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    }
}
