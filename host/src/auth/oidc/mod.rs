//! Users for whom an OpenID Connect issuer vouches, by JSON Web Tokens (RFC 7519, RFC 8725).
//!
//! The algorithm is never the token's to choose: it has to be one that the issuer's key of that name is for, and all of
//! them are asymmetric. Nothing of such a user is stored; who it is and what it may do is in each token.

mod fetch;
mod key_set;
mod keys;

use gavel_log::Hash;
use gavel_store::{User, UserId, UserRole};
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::users::VOUCHED_PREFIX;
use crate::clock::now_ms;
use crate::config::{AdminClaim, OidcConfig};
use crate::tasks::Tasks;

pub use fetch::FetchError;
use key_set::KeySet;

/// Most bytes of a token.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Seconds by which the issuer's clock may differ from ours.
const LEEWAY_SECONDS: u64 = 30;
/// Hex digits of a vouched user's name.
const NAME_DIGITS: usize = 16;
/// Most bytes of a `sub` (OpenID Connect Core §2).
const MAX_SUBJECT_BYTES: usize = 255;

/// Why an issuer's token lets nobody in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It is no token of the issuer's for us, or not one that holds now.
    #[error("the issuer's token is not valid: {0}")]
    Invalid(&'static str),
    /// None of the issuer's keys is known, and it cannot be asked.
    #[error("the issuer of tokens cannot be reached")]
    Unreachable,
}

/// The issuer that the configuration names, with its keys.
pub struct Issuer {
    issuer: String,
    audience: String,
    admin: Option<AdminClaim>,
    keys: KeySet,
}

/// A user whom a token names.
pub struct Vouched {
    /// The user. Its token is not ours to keep.
    pub user: User,
    /// When the token ends, in milliseconds since the Unix epoch.
    pub ends_at: i64,
}

/// What is read of a token's claims (RFC 7519 §4.1); `aud` and `nbf` are checked with the signature.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    #[serde(flatten)]
    others: Value,
}

impl Issuer {
    /// The issuer of this configuration. Its keys are fetched in the background from now on, so that a start waits for
    /// nobody.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(config: &OidcConfig, tasks: &Tasks) -> Result<Self, FetchError> {
        let keys = KeySet::new(config, tasks)?;
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            admin: config.admin_claim.clone(),
            keys,
        })
    }

    /// The user whom this token names, if the issuer signed it for us and it holds now.
    ///
    /// # Errors
    /// [`OidcError::Invalid`], and [`OidcError::Unreachable`] while none of the issuer's keys is known.
    pub async fn vouch(&self, token: &str) -> Result<Vouched, OidcError> {
        let header = decode_header(token).map_err(|_| OidcError::Invalid("its header cannot be read"))?;
        // RFC 7515 §4.1.11: none of them is understood here.
        if header.crit.is_some() {
            return Err(OidcError::Invalid("it asks for an extension"));
        }
        let key = self.keys.find(header.kid.as_deref()).await?;
        let mut rules = Validation {
            algorithms: key.algorithms().to_vec(),
            leeway: LEEWAY_SECONDS,
            validate_nbf: true,
            ..Validation::default()
        };
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        let claims = decode::<Claims>(token, key.decoding(), &rules).map_err(|error| invalid(&error))?.claims;
        self.user(&claims)
    }

    fn user(&self, claims: &Claims) -> Result<Vouched, OidcError> {
        // Once more, and as one text: the library takes a list of issuers too.
        if claims.iss != self.issuer {
            return Err(OidcError::Invalid("it is another issuer's"));
        }
        if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_BYTES {
            return Err(OidcError::Invalid("its subject is empty or too long"));
        }
        let id = name(&claims.iss, &claims.sub).ok_or(OidcError::Invalid("its subject is no name"))?;
        let administers = self.admin.as_ref().is_some_and(|admin| has(&claims.others, admin));
        let role = if administers { UserRole::Admin } else { UserRole::Member };
        let user = User { id, role, token_hash: None, created_at: now_ms() };
        Ok(Vouched { user, ends_at: milliseconds(claims.exp) })
    }
}

/// `oidc:` and the first 16 hex digits of SHA-256 over the issuer, a zero byte, and the subject. Neither holds a zero byte
/// in its place, so no two pairs read the same.
fn name(issuer: &str, subject: &str) -> Option<UserId> {
    let bytes = [issuer.as_bytes(), &[0], subject.as_bytes()].concat();
    let digest = Hash::of(&bytes).to_string();
    format!("{VOUCHED_PREFIX}{}", digest.get(..NAME_DIGITS)?).parse().ok()
}

/// Whether the claim is the value, or a list that holds it.
fn has(claims: &Value, admin: &AdminClaim) -> bool {
    let pointed = admin.claim.starts_with('/');
    match if pointed { claims.pointer(&admin.claim) } else { claims.get(&admin.claim) } {
        Some(Value::String(text)) => *text == admin.value,
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(&admin.value)),
        _ => false,
    }
}

/// Seconds since the Unix epoch as milliseconds; a time that no clock shows is the last one.
#[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the greatest integer")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// The library's reasons in fixed words: its own may repeat what the token says.
fn invalid(error: &jsonwebtoken::errors::Error) -> OidcError {
    use jsonwebtoken::errors::ErrorKind;
    OidcError::Invalid(match error.kind() {
        ErrorKind::InvalidSignature => "its signature does not verify",
        ErrorKind::InvalidAlgorithm => "its algorithm is not its key's",
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it does not hold yet",
        ErrorKind::InvalidIssuer => "it is another issuer's",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "it lacks one of exp, iss, aud and sub",
        _ => "it cannot be read",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_the_hash_of_issuer_and_subject() {
        // SHA-256 of "https://id.example" 00 "248289761001".
        let name = name("https://id.example", "248289761001").unwrap();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(b"https://id.example\x00248289761001");
        assert_eq!(name.as_str(), format!("oidc:{}", &hex::encode(digest)[..16]));
        assert_ne!(super::name("https://id.example2", "48289761001").unwrap(), name);
    }

    #[test]
    fn an_administrator_is_named_by_a_claim_at_the_top_or_further_down() {
        let claims = json!({"groups": ["users", "gavel"], "role": "gavel", "realm": {"roles": ["gavel"]}, "n": 1});
        let has = |claim: &str, value: &str| {
            super::has(&claims, &AdminClaim { claim: claim.to_owned(), value: value.to_owned() })
        };
        assert!(
            has("groups", "gavel") && has("role", "gavel") && has("/realm/roles", "gavel") && has("/role", "gavel")
        );
        for (claim, value) in [("groups", "gave"), ("role", "users"), ("n", "1"), ("/realm", "gavel"), ("x", "")] {
            assert!(!has(claim, value), "{claim} {value}");
        }
    }

    #[test]
    fn times_that_no_clock_shows_are_the_last_one() {
        assert_eq!(milliseconds(1.5), 1500);
        assert_eq!(milliseconds(1e300), i64::MAX);
    }
}
