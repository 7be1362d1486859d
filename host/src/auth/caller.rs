//! Who makes a request, and what that lets them do.

use gavel_log::Hash;
use gavel_store::{Agent, AgentId, ApiKey, KeyId, User, UserId, UserRole};

use super::{Rule, Scope};

/// Hex digits of a pseudonym: 64 bits are enough to tell an agent's callers apart.
const PSEUDONYM_DIGITS: usize = 16;

/// Who makes a request, by what was shown to prove it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Caller {
    /// A user, by a user token.
    User(User),
    /// A user for whom an OpenID Connect issuer vouches, by a token of the issuer's.
    Vouched {
        /// The user, as the token describes them.
        user: User,
        /// When the token ends, in milliseconds since the Unix epoch.
        ends_at: i64,
    },
    /// An agent's API key.
    Key(KeyHolder),
}

/// Whoever holds an agent's API key.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    key: KeyId,
    agent: AgentId,
    owner: UserId,
    scopes: Vec<Scope>,
    token_hash: Hash,
    expires_at: Option<i64>,
}

impl KeyHolder {
    pub(super) fn new(key: &ApiKey, owner: UserId) -> Self {
        // A scope of another version of Gavel allows nothing here.
        let scopes = key.scopes.iter().filter_map(|name| Scope::named(name)).collect();
        Self { key: key.id, agent: key.agent, owner, scopes, token_hash: key.token_hash, expires_at: key.expires_at }
    }
}

/// Why a caller goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not with this token.
    #[error("{0}")]
    Forbidden(&'static str),
    /// To this caller it does not exist.
    #[error("there is no such agent")]
    Unseen,
}

impl Caller {
    /// Whether the caller may pass a route's rule, whatever agent the path names.
    ///
    /// # Errors
    /// [`Denied::Forbidden`].
    pub fn pass(&self, rule: Rule) -> Result<(), Denied> {
        match (rule, self) {
            (Rule::Auditor, Self::User(_) | Self::Vouched { .. }) if !self.may_audit() => {
                Err(Denied::Forbidden("only auditors and administrators may see this"))
            }
            (Rule::Admin, Self::User(_) | Self::Vouched { .. }) if !self.is_admin() => {
                Err(Denied::Forbidden("only administrators may do this"))
            }
            (Rule::Open, _) | (_, Self::User(_) | Self::Vouched { .. }) => Ok(()),
            (Rule::User | Rule::Auditor | Rule::Admin | Rule::Owner, Self::Key(_)) => {
                Err(Denied::Forbidden("this takes a user's token, not an API key"))
            }
            (Rule::Key(scope) | Rule::AnyKey(scope), Self::Key(key)) => {
                let holds = key.scopes.contains(&scope);
                holds.then_some(()).ok_or(Denied::Forbidden("the API key lacks the scope"))
            }
        }
    }

    /// The agent that a path names, if the caller may reach it; `agent` is none where there is none of that name.
    ///
    /// # Errors
    /// [`Denied::Unseen`] for a user, to whom another's agent is none; [`Denied::Forbidden`] for an API key, which has
    /// one agent and learns of no other whether it exists.
    pub fn reach(&self, agent: Option<Agent>) -> Result<Agent, Denied> {
        let denied = match self {
            Self::User(_) | Self::Vouched { .. } => Denied::Unseen,
            Self::Key(_) => Denied::Forbidden("the API key is another agent's"),
        };
        agent.filter(|agent| self.reaches(agent)).ok_or(denied)
    }

    /// Whether the agent is the caller's own, or the one that the caller's API key opens.
    #[must_use]
    pub fn reaches(&self, agent: &Agent) -> bool {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => user.id == agent.owner,
            Self::Key(key) => key.agent == agent.id,
        }
    }

    /// The one agent that the caller's API key opens; none for a user.
    #[must_use]
    pub fn only_agent(&self) -> Option<AgentId> {
        match self {
            Self::User(_) | Self::Vouched { .. } => None,
            Self::Key(key) => Some(key.agent),
        }
    }

    /// The user on whose behalf the caller acts: an API key acts for its agent's owner.
    #[must_use]
    pub fn user(&self) -> &UserId {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => &user.id,
            Self::Key(key) => &key.owner,
        }
    }

    /// Whether the caller is the agent's owner in person. An API key never is: what is for the owner's eyes is not for
    /// its.
    #[must_use]
    pub fn owns(&self, agent: &Agent) -> bool {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => user.id == agent.owner,
            Self::Key(_) => false,
        }
    }

    /// Whether the caller may see every agent's verdicts.
    #[must_use]
    pub fn may_audit(&self) -> bool {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => matches!(user.role, UserRole::Auditor | UserRole::Admin),
            Self::Key(_) => false,
        }
    }

    /// Whether the caller decides for the whole installation.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => user.role == UserRole::Admin,
            Self::Key(_) => false,
        }
    }

    /// The API key; none for a user.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::User(_) | Self::Vouched { .. } => None,
            Self::Key(key) => Some(key.key),
        }
    }

    /// The SHA-256 of the token that was shown; none where it was none of ours.
    pub(super) fn token_hash(&self) -> Option<&Hash> {
        match self {
            Self::User(user) | Self::Vouched { user, .. } => user.token_hash.as_ref(),
            Self::Key(key) => Some(&key.token_hash),
        }
    }

    /// When what the caller showed ends by itself, in milliseconds since the Unix epoch; none where it does not.
    #[must_use]
    pub fn ends_at(&self) -> Option<i64> {
        match self {
            Self::User(_) => None,
            Self::Vouched { ends_at, .. } => Some(*ends_at),
            Self::Key(key) => key.expires_at,
        }
    }

    /// What policies are told of how the caller proved itself.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) | Self::Vouched { .. } => "user",
            Self::Key(_) => "key",
        }
    }

    /// A name for the caller that stays the same within one agent and says nothing outside it: the agent's chain,
    /// which is random, goes into it.
    #[must_use]
    pub fn pseudonym(&self, agent: &Agent) -> String {
        let mut bytes = agent.chain.0.to_vec();
        bytes.extend_from_slice(self.kind().as_bytes());
        bytes.push(0);
        match self {
            Self::User(user) | Self::Vouched { user, .. } => bytes.extend_from_slice(user.id.as_str().as_bytes()),
            Self::Key(key) => bytes.extend_from_slice(key.key.to_string().as_bytes()),
        }
        Hash::of(&bytes).to_string().chars().take(PSEUDONYM_DIGITS).collect()
    }
}
