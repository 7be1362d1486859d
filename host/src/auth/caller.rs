//! Who makes a request.

use gavel_log::Hash;
use gavel_store::{Agent, Store, StoreError, User, UserId, UserRole};
use subtle::ConstantTimeEq;

use super::Token;

/// Hex digits of a pseudonym: 64 bits are enough to tell an agent's callers apart.
const PSEUDONYM_DIGITS: usize = 16;

/// Who makes a request, by what was shown to prove it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Caller {
    /// A user, by a user token.
    User(User),
}

impl Caller {
    /// The caller whose token this is; none when it is nobody's.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn by_token(store: &Store, token: &Token) -> Result<Option<Self>, StoreError> {
        let hash = token.hash();
        let user = store
            .user_by_token(&hash)?
            .filter(|user| user.token_hash.is_some_and(|kept| bool::from(kept.as_bytes().ct_eq(hash.as_bytes()))));
        Ok(user.map(Self::User))
    }

    /// The user on whose behalf the caller acts.
    #[must_use]
    pub fn user(&self) -> &UserId {
        match self {
            Self::User(user) => &user.id,
        }
    }

    /// Whether the agent is the caller's own.
    #[must_use]
    pub fn owns(&self, agent: &Agent) -> bool {
        match self {
            Self::User(user) => user.id == agent.owner,
        }
    }

    /// Whether the caller may see every agent's verdicts.
    #[must_use]
    pub fn may_audit(&self) -> bool {
        match self {
            Self::User(user) => matches!(user.role, UserRole::Auditor | UserRole::Admin),
        }
    }

    /// What policies are told of how the caller proved itself.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
        }
    }

    /// A name for the caller that stays the same within one agent and says nothing outside it: the agent's chain,
    /// which is random, goes into it.
    #[must_use]
    pub fn pseudonym(&self, agent: &Agent) -> String {
        let mut bytes = agent.chain.0.to_vec();
        bytes.extend_from_slice(self.kind().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.user().as_str().as_bytes());
        Hash::of(&bytes).to_string().chars().take(PSEUDONYM_DIGITS).collect()
    }
}
