//! Tokens: a prefix that scanners know, 256 random bits, and a checksum that finds typos without a look-up.

use gavel_log::Hash;
use secrecy::{ExposeSecret, SecretString};

use crate::random::random_text;

/// Base62 in the order of its digits.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of every kind's prefix.
const PREFIX_BYTES: usize = 4;
/// 62^43 is the first power above 2^256.
const RANDOM_DIGITS: usize = 43;
/// 62^6 is the first power above 2^32.
const CHECKSUM_DIGITS: usize = 6;
/// Random characters that are kept in clear, so that people recognise a key of theirs: 220 bits stay unknown.
const RECOGNISED: usize = 6;
const TOKEN_BYTES: usize = PREFIX_BYTES + RANDOM_DIGITS + CHECKSUM_DIGITS;

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has another prefix, length or alphabet.
    #[error("this is no token")]
    Malformed,
    /// Its checksum does not match: a typo.
    #[error("the token's checksum does not match")]
    Checksum,
}

/// What a token is a token of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A user's, `gvu_`.
    User,
    /// An agent's API key, `gvk_`.
    Key,
}

impl TokenKind {
    /// What every token of the kind begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::User => "gvu_",
            Self::Key => "gvk_",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::User, Self::Key].into_iter().find(|kind| text.starts_with(kind.prefix()))
    }
}

/// A well-formed token. Only its hash is ever kept.
pub struct Token {
    kind: TokenKind,
    text: SecretString,
}

impl Token {
    /// A new token from fresh randomness.
    #[must_use]
    pub fn generate(kind: TokenKind) -> Self {
        let mut token = String::with_capacity(TOKEN_BYTES);
        token.push_str(kind.prefix());
        token.push_str(&random_text(DIGITS, RANDOM_DIGITS));
        let checksum = checksum(&token);
        token.push_str(&checksum);
        Self { kind, text: token.into() }
    }

    /// Takes a text that looks like a token, which says nothing of whether anyone has it.
    ///
    /// # Errors
    /// When prefix, length, alphabet or checksum are wrong.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let kind = TokenKind::of(text).filter(|_| text.len() == TOKEN_BYTES).ok_or(TokenError::Malformed)?;
        let (body, sum) = text.split_at_checked(TOKEN_BYTES - CHECKSUM_DIGITS).ok_or(TokenError::Malformed)?;
        let digits = text.bytes().skip(PREFIX_BYTES).all(|byte| byte.is_ascii_alphanumeric());
        if !digits {
            return Err(TokenError::Malformed);
        }
        if checksum(body) != sum {
            return Err(TokenError::Checksum);
        }
        Ok(Self { kind, text: text.to_owned().into() })
    }

    /// What it is a token of.
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The SHA-256 under which its user or key is kept.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(self.text.expose_secret().as_bytes())
    }

    /// Its first characters, by which its owner recognises it.
    #[must_use]
    pub fn recognisable(&self) -> String {
        self.expose().chars().take(PREFIX_BYTES + RECOGNISED).collect()
    }

    /// The token's text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The CRC-32 of `text` in base62, left-padded with 0 to six digits.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        if let Some(&value) = DIGITS.get((rest % 62) as usize) {
            *digit = value;
        }
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32_in_base62() {
        // CRC-32 of "123456789" is 0xCBF43926 = 3421780262, the check value of its definition.
        let digits = checksum("123456789");
        let value = digits
            .bytes()
            .fold(0_u64, |value, digit| value * 62 + DIGITS.iter().position(|&known| known == digit).unwrap() as u64);
        assert_eq!((digits.len(), value), (6, 3_421_780_262));
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn a_new_token_is_well_formed_and_its_own() {
        for (kind, prefix) in [(TokenKind::User, "gvu_"), (TokenKind::Key, "gvk_")] {
            let (one, two) = (Token::generate(kind), Token::generate(kind));
            assert!(one.expose().starts_with(prefix));
            let read = Token::parse(one.expose()).unwrap();
            assert_eq!((read.hash(), read.kind()), (one.hash(), kind));
            assert_ne!(one.hash(), two.hash());
            let shown = one.recognisable();
            assert!(shown.len() == 10 && one.expose().starts_with(&shown), "{shown}");
        }
    }

    #[test]
    fn a_token_of_one_kind_is_none_of_another() {
        let user = Token::generate(TokenKind::User);
        let disguised = user.expose().replacen("gvu_", "gvk_", 1);
        assert_eq!(Token::parse(&disguised).err(), Some(TokenError::Checksum));
    }

    #[test]
    fn a_typo_is_refused_without_a_look_up() {
        let token = Token::generate(TokenKind::User);
        let mut typo = token.expose().to_owned().into_bytes();
        typo[10] = if typo[10] == b'x' { b'y' } else { b'x' };
        let typo = String::from_utf8(typo).unwrap();
        assert_eq!(Token::parse(&typo).err(), Some(TokenError::Checksum));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = Token::generate(TokenKind::User);
        let long = format!("{}0", token.expose());
        let foreign = token.expose().replace("gvu_", "gvx_");
        let wide = format!("gvu_{}", "é".repeat(24));
        for text in ["", "gvu_", long.as_str(), foreign.as_str(), wide.as_str()] {
            assert_eq!(Token::parse(text).err(), Some(TokenError::Malformed), "{text}");
        }
    }
}
