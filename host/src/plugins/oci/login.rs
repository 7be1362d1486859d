//! How a registry wants to be logged in to: its `WWW-Authenticate`, and the token that it gives.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token that this service gives.
    Bearer {
        /// Where.
        realm: Url,
        /// What the registry is called there.
        service: Option<String>,
    },
    /// Name and password.
    Basic,
}

impl Challenge {
    /// The best of those that an answer names.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<_> = values.flat_map(ChallengeParser::new).filter_map(Result::ok).collect();
        let bearer = challenges.iter().find_map(bearer);
        bearer.or_else(|| challenges.iter().any(|challenge| is(challenge, "basic")).then_some(Self::Basic))
    }
}

fn bearer(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    let named = |wanted: &str| {
        let mut params = challenge.params.iter();
        params.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_unescaped())
    };
    let realm = is(challenge, "bearer").then(|| named("realm")?.parse().ok()).flatten()?;
    Some(Challenge::Bearer { realm, service: named("service") })
}

fn is(challenge: &ChallengeRef<'_>, scheme: &str) -> bool {
    challenge.scheme.eq_ignore_ascii_case(scheme)
}

/// The answer of a token service (Docker Registry v2 authentication): one of the two.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenAnswer {
    pub(super) fn token(self) -> Option<SecretString> {
        self.token.or(self.access_token).map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn a_token_comes_before_a_password() {
        let realm = "https://auth.example.org/token".parse().unwrap();
        let bearer = r#"Bearer realm="https://auth.example.org/token",service="registry",scope="repository:a:pull""#;
        let wanted = Challenge::Bearer { realm, service: Some("registry".to_owned()) };
        assert_eq!(challenge(&[&format!(r#"Basic realm="x", {bearer}"#)]).as_ref(), Some(&wanted));
        assert_eq!(challenge(&["Basic realm=\"x\"", bearer]).as_ref(), Some(&wanted));
        assert_eq!(challenge(&["basic realm=\"x\""]), Some(Challenge::Basic));
        for nothing in ["Bearer", "Bearer realm=\"no url\"", "Digest realm=\"x\"", ",,\"", ""] {
            assert_eq!(challenge(&[nothing]), None, "{nothing}");
        }
    }
}
