//! The operator's `base_url`, taken apart as `wasi:http` wants it.

/// Where an API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https` rather than `http`.
    pub secure: bool,
    /// Host and port.
    pub authority: String,
    /// What stands before each call's own path; no slash at its end.
    pub path: String,
}

impl BaseUrl {
    /// Takes a URL of scheme, host and path apart.
    ///
    /// # Errors
    /// Words for the operator, when it is anything else.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("base_url must begin with https:// or http://".into()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || rest.contains(['@', '?', '#']) || rest.contains(char::is_whitespace) {
            return Err("base_url must be scheme, host and path alone".into());
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { secure, authority: authority.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let url = BaseUrl::parse("http://127.0.0.1:11434/api/v1/").unwrap();
        assert_eq!((url.secure, url.authority.as_str(), url.path.as_str()), (false, "127.0.0.1:11434", "/api/v1"));
        assert_eq!(BaseUrl::parse("https://h").unwrap().path, "");
        for url in ["h/v1", "ftp://h", "https://", "https:///v1", "https://u@h/v1", "https://h/v1?a=b", "https://h/ v1"]
        {
            assert!(BaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
