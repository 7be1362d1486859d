//! Who calls: tokens, the users and keys they belong to, and one declared rule for each route.

mod access;
mod bootstrap;
mod caller;
mod credentials;
mod keys;
mod oidc;
mod rules;
mod scope;
mod token;
mod users;

pub use access::{Access, AccessError};
pub use bootstrap::{BootstrapError, FirstUser, admin_token_file, ensure_first_user};
pub use caller::{Caller, Denied, KeyHolder};
pub use credentials::{Credentials, Stay};
pub use keys::{KeyError, NewKey, NewKeyFault};
pub use oidc::{FetchError, Issuer, OidcError};
pub use rules::{Rule, routes, rule_for};
pub use scope::Scope;
pub use token::{Token, TokenError, TokenKind};
pub use users::UserError;
