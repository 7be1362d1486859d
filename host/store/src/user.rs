//! Users and the hashes of their tokens.

use gavel_log::Hash;
use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// A user who may call the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's name.
    pub id: UserId,
    /// What the user may see beyond the user's own agents.
    pub role: UserRole,
    /// SHA-256 of the user's token; none when it has been revoked, or when an issuer vouches for the user.
    pub token_hash: Option<Hash>,
    /// When the user was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// What a user may see and do beyond the user's own agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Nothing.
    #[default]
    Member,
    /// Every agent's verdicts.
    Auditor,
    /// Plugins, users and every agent's verdicts.
    Admin,
}
