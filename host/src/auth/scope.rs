//! What an agent's API key may do.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// One thing that an agent's API key may do. What no scope names takes a user's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read the agent and its policies.
    AgentRead,
    /// Start and stop it.
    AgentControl,
    /// Talk with it.
    Chat,
    /// Read its messages.
    MessagesRead,
    /// Clear its messages.
    MessagesWrite,
    /// Read its files.
    FilesRead,
    /// Upload and remove files.
    FilesWrite,
    /// Read proofs and verdicts.
    ProofsRead,
    /// Read its quota.
    QuotaRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AgentRead,
        Self::AgentControl,
        Self::Chat,
        Self::MessagesRead,
        Self::MessagesWrite,
        Self::FilesRead,
        Self::FilesWrite,
        Self::ProofsRead,
        Self::QuotaRead,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentRead => "agent:read",
            Self::AgentControl => "agent:control",
            Self::Chat => "chat",
            Self::MessagesRead => "messages:read",
            Self::MessagesWrite => "messages:write",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::ProofsRead => "proofs:read",
            Self::QuotaRead => "quota:read",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        let word = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let word = word.description(Some("One thing that an agent's API key may do."));
        word.enum_values(Some(Self::ALL.map(Self::as_str))).build().into()
    }
}

impl ToSchema for Scope {}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Read from a string alone: what serde derives would take an object of one member too.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        Self::named(&name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            de::Error::custom(format!("is no scope; there are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_by_its_name_and_nothing_else() {
        for scope in Scope::ALL {
            let json = serde_json::to_string(&scope).unwrap();
            assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
            assert!(serde_json::from_str::<Scope>(&format!("{{{json}:null}}")).is_err());
        }
        assert!(serde_json::from_str::<Scope>("\"agent:write\"").is_err());
    }
}
