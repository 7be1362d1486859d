//! What errors of the rooms below are to a client: the one place where they are told apart.

use gavel_store::StoreError;

use super::{Code, Problem};
use crate::agent::{AgentError, FieldError};
use crate::auth::{AccessError, Denied, KeyError, NewKeyFault, OidcError};
use crate::files::FileError;
use crate::plugins::oci::OciError;
use crate::plugins::{ApproveError, InstallError, RetireError};
use crate::turn::Refused;

/// Seconds after which a server that has too much to do is worth another try.
const BUSY_SECONDS: u64 = 1;
/// Seconds after which a turn that would not end may have.
const TURN_SECONDS: u64 = 5;

/// Seconds after which an issuer that could not be reached is asked again.
const ISSUER_SECONDS: u64 = 30;

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Invalid(errors) => Self::invalid(errors),
            AgentError::Configuration(errors) => Self::with_fields(Code::InvalidConfiguration, errors),
            AgentError::MandatoryPolicy(errors) => Self::with_fields(Code::MandatoryPolicy, errors),
            AgentError::ModeForbidden => Self::new(Code::ModeForbidden, error.to_string()),
            AgentError::RestoredTooOften => Self::new(Code::RestoredTooOften, error.to_string()),
            AgentError::Store(error) => error.into(),
            AgentError::Files(error) => error.into(),
            AgentError::Vault(_) | AgentError::Plugins(_) | AgentError::BrokenOff => Self::internal(&error),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => error.into(),
            AccessError::Oidc(OidcError::Unreachable) => {
                Self::new(Code::IssuerUnavailable, error.to_string()).retry_after(ISSUER_SECONDS)
            }
            refusal => Self::new(Code::Unauthorized, refusal.to_string()),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden(why) => Self::new(Code::Forbidden, why),
            Denied::Unseen => Self::not_found(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid(faults) => Self::invalid(faults.into_iter().map(key_fault).collect()),
            KeyError::Store(error) => error.into(),
        }
    }
}

fn key_fault(fault: NewKeyFault) -> FieldError {
    let pointer = match fault {
        NewKeyFault::Name => "/name".to_owned(),
        NewKeyFault::NoScope => "/scopes".to_owned(),
        NewKeyFault::ScopeTwice(index) => format!("/scopes/{index}"),
        NewKeyFault::Past => "/expires_at".to_owned(),
    };
    FieldError { pointer, detail: fault.to_string() }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(gavel_store::Missing::Checkpoint) => {
                Self::new(Code::AgentNotRunning, "the agent was never started")
            }
            StoreError::NotFound(_) => Self::not_found(),
            StoreError::TooManyApiKeys => Self::new(Code::TooManyApiKeys, error.to_string()),
            StoreError::AgentNotRunning(_) => Self::new(Code::AgentNotRunning, "the agent is not running"),
            StoreError::KeyReused => Self::new(Code::IdempotencyKeyReused, error.to_string()),
            StoreError::AgentRunning(_) => Self::new(Code::AgentRunning, "the agent has to be stopped first"),
            StoreError::TurnsOpen(_) => {
                Self::new(Code::Busy, "a turn of the agent has not ended yet").retry_after(TURN_SECONDS)
            }
            StoreError::QuotaExceeded { what, .. } => {
                Self::new(Code::QuotaExceeded, format!("the agent has used up its {what} of the month"))
                    .retry_after(crate::quota::seconds_to_the_months_end())
            }
            StoreError::Closed => Self::new(Code::ShuttingDown, "the server is going down"),
            StoreError::Database(_) | StoreError::Io(_) => {
                tracing::error!(%error, "a request failed");
                Self::new(Code::StorageUnavailable, "the database cannot be used").retry_after(BUSY_SECONDS)
            }
            error => Self::internal(&error),
        }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound => Self::not_found(),
            FileError::TooLarge { .. } | FileError::TooMuch => Self::new(Code::FileTooLarge, error.to_string()),
            FileError::TooMany | FileError::None => Self::new(Code::InvalidRequest, error.to_string()),
            FileError::Blocked(results) => {
                let leaves: Vec<&str> = results.iter().map(|result| result.leaf_hash.as_str()).collect();
                let detail = format!("a policy does not let the file pass; the verdict is {}", leaves.join(", "));
                Self::new(Code::FileBlocked, detail).governance(results)
            }
            FileError::Busy | FileError::Judgement(Refused::Busy) => {
                Self::new(Code::Busy, "the server is busy").retry_after(BUSY_SECONDS)
            }
            FileError::Store(StoreError::StorageFull { limit, .. }) => {
                Self::new(Code::QuotaExceeded, format!("the agent may keep {limit} bytes of files"))
            }
            FileError::Store(error) => error.into(),
            FileError::Objects(_) | FileError::Directory(_) => {
                tracing::error!(%error, "a request failed");
                Self::new(Code::StorageUnavailable, "the object store failed").retry_after(BUSY_SECONDS)
            }
            FileError::Judgement(Refused::Policy(_)) => {
                tracing::error!(%error, "a request failed");
                Self::new(Code::PolicyUnavailable, "a policy of the agent cannot be bound any more")
            }
            FileError::Judgement(_) | FileError::Vault(_) | FileError::Damaged => Self::internal(&error),
        }
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Failed(error) => Self::internal(&error),
            InstallError::Pull(OciError::Reference(detail)) => {
                Self::invalid(vec![FieldError { pointer: "/oci".to_owned(), detail }])
            }
            InstallError::Pull(OciError::RateLimited { retry_after: Some(seconds), .. }) => {
                Self::new(Code::RegistryRateLimited, error.to_string()).retry_after(seconds)
            }
            InstallError::Pull(OciError::Busy) => Self::new(Code::Busy, error.to_string()).retry_after(BUSY_SECONDS),
            refused => Self::new(Code::named(refused.code()), refused.to_string()),
        }
    }
}

impl From<RetireError> for Problem {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::Unknown => Self::not_found(),
            RetireError::Bound(_) => Self::new(Code::PluginBound, error.to_string()),
            RetireError::InDirectory(_) => Self::new(Code::PluginWatched, error.to_string()),
            RetireError::Failed(error) => Self::internal(&error),
        }
    }
}

impl From<ApproveError> for Problem {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Unknown => Self::not_found(),
            ApproveError::Policy => Self::new(Code::InvalidRequest, error.to_string()),
            ApproveError::Failed(error) => Self::internal(&error),
        }
    }
}

impl From<crate::turn::OpeningError> for Problem {
    fn from(error: crate::turn::OpeningError) -> Self {
        Self::internal(&error)
    }
}

impl From<crate::verdicts::VerdictsError> for Problem {
    fn from(error: crate::verdicts::VerdictsError) -> Self {
        match error {
            crate::verdicts::VerdictsError::Store(error) => error.into(),
            crate::verdicts::VerdictsError::ShuttingDown => Self::new(Code::ShuttingDown, "the server is going down"),
            error => Self::internal(&error),
        }
    }
}

impl From<crate::vault::VaultError> for Problem {
    fn from(error: crate::vault::VaultError) -> Self {
        Self::internal(&error)
    }
}
