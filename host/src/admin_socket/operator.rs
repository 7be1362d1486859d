//! Carries an operator's requests out, wherever they come from.

use super::{Answer, Request, UserSummary};
use crate::auth::{Access, Token, UserError};
use crate::vault::{RotateError, Rotated, Rotation};
use gavel_store::User;

/// What may be done to an installation from its command line. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    access: Access,
    rotation: Rotation,
}

impl Operator {
    /// An operator of the installation that these parts belong to.
    #[must_use]
    pub fn new(access: Access, rotation: Rotation) -> Self {
        Self { access, rotation }
    }

    /// Does what is asked, and says what became of it.
    pub async fn carry_out(&self, request: Request) -> Answer {
        let done = match request {
            Request::AddUser { name, role } => self.access.add_user(name, role).await.map(token),
            Request::RenewUser { name } => self.access.renew_user(name).await.map(token),
            Request::ListUsers {} => self
                .access
                .users()
                .map(|users| Answer::Users { users: users.into_iter().map(UserSummary::from).collect() }),
            Request::RevokeUser { name } => self.access.revoke_user(name).await.map(|()| Answer::Done {}),
            Request::RotateVault { new_key } => return rotated(self.rotation.rotate(new_key).await),
        };
        done.unwrap_or_else(|error| refusal(&error))
    }
}

fn token((user, token): (User, Token)) -> Answer {
    Answer::Token { user: user.into(), token: token.expose().to_owned() }
}

fn rotated(outcome: Result<Rotated, RotateError>) -> Answer {
    match outcome {
        Ok(Rotated { name, data_keys, file }) => Answer::Rotated { master_key: name, data_keys, file },
        Err(error) if error.is_refusal() => Answer::Refused { reason: error.to_string() },
        Err(error) => {
            tracing::error!(%error, "the master key could not be changed");
            Answer::Failed { reason: error.to_string() }
        }
    }
}

fn refusal(error: &UserError) -> Answer {
    let reason = error.to_string();
    match error {
        UserError::Store(_) => {
            tracing::error!(%error, "an operator's request failed");
            Answer::Failed { reason }
        }
        _ => Answer::Refused { reason },
    }
}
