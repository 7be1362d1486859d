//! Where a provider may send requests: scheme, host and port.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An origin as RFC 6454 has it, `http` and `https` only; two are equal when scheme, host and port are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    /// Lower case and punycode, as the URL standard writes it; an IPv6 address in brackets.
    host: String,
    port: u16,
}

/// Why a text is no origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OriginError {
    /// It is no absolute URL.
    #[error("it is no absolute URL")]
    Url,
    /// Another scheme than `http` and `https`.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// It holds a user name or password.
    #[error("it holds a user name or a password")]
    Credentials,
    /// It has a path, a query or a fragment.
    #[error("it has more than scheme, host and port")]
    Path,
}

impl Origin {
    /// The origin of a URL, whatever its path.
    ///
    /// # Errors
    /// If the scheme is another, or the URL holds a user name or password.
    pub fn of(url: &Url) -> Result<Self, OriginError> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(OriginError::Url)?;
        let port = url.port_or_known_default().ok_or(OriginError::Url)?;
        Ok(Self { secure, host: host.to_owned(), port })
    }

    /// The host in lower case, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none was given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::Url)?;
        let origin = Self::of(&url)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(OriginError::Path);
        }
        Ok(origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.secure { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_scheme_host_and_port() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert_eq!(origin("https://API.OpenAI.com"), origin("https://api.openai.com:443/"));
        assert_ne!(origin("https://api.openai.com"), origin("http://api.openai.com"));
        assert_ne!(origin("https://api.openai.com"), origin("https://api.openai.com:8443"));
        assert_ne!(origin("https://api.openai.com"), origin("https://api.openai.com.evil.example"));
        assert_eq!(origin("http://[::1]:8080").to_string(), "http://[::1]:8080");
    }

    #[test]
    fn anything_more_is_refused() {
        let error = |text: &str| text.parse::<Origin>().unwrap_err();
        assert_eq!(error("api.openai.com"), OriginError::Url);
        assert_eq!(error("ftp://api.openai.com"), OriginError::Scheme);
        assert_eq!(error("https://user@api.openai.com"), OriginError::Credentials);
        assert_eq!(error("https://api.openai.com/v1"), OriginError::Path);
        assert_eq!(error("https://api.openai.com/?q"), OriginError::Path);
    }
}
