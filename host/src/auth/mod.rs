//! Who calls: tokens, the users they belong to, and one declared rule for each route.

mod bootstrap;
mod caller;
mod rules;
mod scope;
mod token;

pub use bootstrap::{BootstrapError, FirstUser, admin_token_file, ensure_first_user};
pub use caller::Caller;
pub use rules::{Rule, rule_for};
pub use scope::Scope;
pub use token::{Token, TokenError};
