//! Who is let in besides local users.

use serde::{Deserialize, Serialize};
use url::Url;

/// Who is let in besides local users.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// An OpenID Connect issuer whose tokens are accepted; none where only local ones are.
    pub oidc: Option<OidcConfig>,
}

/// An OpenID Connect issuer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The issuer, letter by letter as it stands in its tokens' `iss`: an https URL, or an http one on this machine.
    pub issuer: String,
    /// What its tokens' `aud` has to name.
    pub audience: String,
    /// Where its keys are (a JWK set); where it is missing, the issuer's `/.well-known/openid-configuration` says.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// Whose users are administrators; none are where it is missing.
    #[serde(default)]
    pub admin_claim: Option<AdminClaim>,
}

/// A claim that makes a token's user an administrator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminClaim {
    /// The claim's name, `groups` for instance; with a slash in front a JSON pointer, such as `/realm_access/roles`.
    pub claim: String,
    /// What it has to be, or as a list to hold.
    pub value: String,
}
