//! The identifiers of what is kept: a prefix and a ULID, so that ids sort by the time of their making.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

/// Most characters of a [`UserId`].
pub const MAX_USER_ID_CHARS: usize = 128;

/// A text that is not an identifier of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix of another kind, or none.
    #[error("the id does not begin with `{expected}`")]
    Prefix {
        /// What it has to begin with.
        expected: &'static str,
    },
    /// What follows the prefix is not a ULID in lower case.
    #[error("the id does not end with 26 characters of lower-case Crockford base32")]
    Ulid,
    /// Not a user's name.
    #[error(
        "a user id has 1 to {MAX_USER_ID_CHARS} characters, none of them a control character, and no space at its ends"
    )]
    User,
}

/// The ULID of `text`; strict: only the one canonical spelling is taken, so that equal ids are equal texts.
fn parse(text: &str, prefix: &'static str) -> Result<Ulid, IdError> {
    let tail = text.strip_prefix(prefix).ok_or(IdError::Prefix { expected: prefix })?;
    let ulid = Ulid::from_string(tail).map_err(|_| IdError::Ulid)?;
    if spell(ulid) == tail { Ok(ulid) } else { Err(IdError::Ulid) }
}

fn spell(ulid: Ulid) -> String {
    let mut text = ulid.to_string();
    text.make_ascii_lowercase();
    text
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// Shown, parsed and serialized as its prefix and 26 characters of lower-case Crockford base32.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        #[allow(dead_code, reason = "not every kind of id is a key in the database")]
        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: the time in milliseconds and 80 random bits.
            #[must_use]
            pub fn generate() -> Self {
                Self(Ulid::generate())
            }

            /// Its form as a key in the database.
            pub(crate) fn key(self) -> u128 {
                self.0.0
            }

            /// The id that a key in the database stands for.
            pub(crate) fn from_key(key: u128) -> Self {
                Self(Ulid(key))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, spell(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

ulid_id!(
    /// An agent's id.
    AgentId,
    "ocs_"
);
ulid_id!(
    /// A session's id.
    SessionId,
    "ses_"
);
ulid_id!(
    /// A message's id.
    MessageId,
    "msg_"
);
ulid_id!(
    /// The id of an agent's API key.
    KeyId,
    "key_"
);
ulid_id!(
    /// The id of a session's checkpoint.
    CheckpointId,
    "ckp_"
);
ulid_id!(
    /// The id of an uploaded file.
    FileId,
    "file_"
);

/// A user's name: a local one, or `oidc:` and 16 hex digits for one whom an issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = !text.is_empty()
            && text.chars().count() <= MAX_USER_ID_CHARS
            && !text.chars().any(char::is_control)
            && text.trim() == text;
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::User) }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_its_key() {
        let id = MessageId::generate();
        let text = id.to_string();
        assert!(text.starts_with("msg_"));
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(MessageId::from_key(id.key()), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), id);
    }

    #[test]
    fn only_the_canonical_spelling_is_taken() {
        let good = "msg_01d39zy06fgsctvn4t2v9pkhfz";
        assert!(good.parse::<MessageId>().is_ok());
        for bad in [
            "msg_01D39ZY06FGSCTVN4T2V9PKHFZ",
            "msg_o1d39zy06fgsctvn4t2v9pkhfz",
            "msg_81d39zy06fgsctvn4t2v9pkhfz",
            "msg_01d39zy06fgsctvn4t2v9pkhf",
            "msg_01d39zy06fgsctvn4t2v9pkhfzz",
            "msg_",
            "ses_01d39zy06fgsctvn4t2v9pkhfz",
            "01d39zy06fgsctvn4t2v9pkhfz",
            "msg_01d39zy06fgsctvn4t2v9pkhfé",
        ] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_id_is_bounded_and_printable() {
        assert!("admin".parse::<UserId>().is_ok());
        assert!("Jürgen K.".parse::<UserId>().is_ok());
        for bad in ["", " a", "a ", "a\nb", &"x".repeat(MAX_USER_ID_CHARS + 1)] {
            assert_eq!(bad.parse::<UserId>(), Err(IdError::User), "{bad:?}");
        }
    }
}
