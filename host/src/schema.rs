//! The JSON shapes of what other crates own: ids, hashes and words that the API's document names. None of these types
//! has values; a field says `#[schema(value_type = schema::AgentId)]`.

use std::borrow::Cow;

use gavel_log::{judged, record};
use serde::Serialize;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// A ULID in lower-case Crockford base32; its first character holds three bits.
const ULID: &str = "[0-7][0-9a-hjkmnp-tv-z]{25}";

/// A type whose shape is a text of this pattern.
macro_rules! text {
    ($(#[doc = $doc:literal])+ $name:ident, $pattern:expr, $example:expr) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) enum $name {}

        shaped!($name, {
            let description = concat!($($doc),+).trim();
            let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
            text.description(Some(description)).pattern(Some($pattern)).examples([$example]).build()
        });
    };
}

/// A type whose shape is one word of several: the enum's own, as serde spells them. The match keeps the list complete.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident of $owner:ty { $($variant:ident),+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) enum $name {}

        const _: fn($owner) = |word| {
            type Owner = $owner;
            match word {
                $(Owner::$variant => {})+
            }
        };

        shaped!($name, {
            type Owner = $owner;
            one_of(concat!($($doc),+).trim(), &[$(Owner::$variant),+])
        });
    };
}

macro_rules! shaped {
    ($name:ident, $shape:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($shape))
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

fn one_of<T: Serialize>(description: &str, words: &[T]) -> Object {
    let words: Vec<_> = words.iter().filter_map(|word| serde_json::to_value(word).ok()).collect();
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    text.description(Some(description)).enum_values(Some(words)).build()
}

fn id(prefix: &str) -> String {
    format!("^{prefix}{ULID}$")
}

text!(
    /// An agent's id.
    AgentId, id(gavel_store::AgentId::PREFIX), "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A session's id.
    SessionId, id(gavel_store::SessionId::PREFIX), "ses_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A message's id.
    MessageId, id(gavel_store::MessageId::PREFIX), "msg_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A checkpoint's id.
    CheckpointId, id(gavel_store::CheckpointId::PREFIX), "ckp_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A key's id.
    KeyId, id(gavel_store::KeyId::PREFIX), "key_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A file's id.
    FileId, id(gavel_store::FileId::PREFIX), "file_01k6zv3mfe5x8q2r7t9w4y6b0n"
);
text!(
    /// A leaf of the log, by its SHA-256.
    LeafHash,
    "^sha256:[0-9a-f]{64}$",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
);
text!(
    /// A SHA-256 in hex.
    HexHash, "^[0-9a-f]{64}$", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
);

/// A time: RFC 3339, in UTC.
#[derive(Debug)]
pub(crate) enum Time {}

shaped!(Time, {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    let text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    text.description(Some("A time: RFC 3339, in UTC.")).examples(["2026-01-31T12:00:00.000Z"]).build()
});

words!(
    /// Whether verdicts are reported or obeyed.
    Mode of record::Mode { Transparent, Enforcing }
);
words!(
    /// What a binding does with its policy's verdicts.
    Enforcement of record::Enforcement { Enforce, Observe }
);
words!(
    /// What a policy's failure does where it is enforced.
    OnError of record::OnError { Block, Allow }
);
words!(
    /// What a plugin is.
    PluginKind of gavel_store::PluginKind { Policy, Provider }
);
words!(
    /// Where a plugin comes from: the binary, the watched directory, an administrator or an OCI registry.
    PluginSource of gavel_store::PluginSource { Bundled, Directory, Upload, Oci }
);
words!(
    /// Whether a version serves: `pending` where it asks for more than is granted, `refused` where it cannot.
    PluginState of crate::plugins::PluginState { Serving, Pending, Refused }
);
words!(
    /// What is judged.
    Stage of judged::Stage { Input, Output, Reasoning, ToolCall, ToolResult, File }
);
words!(
    /// What was decided; `unknown` where a crash left no verdict.
    Decision of record::DecisionKind { Allow, Flag, Redact, Block, Unknown }
);
words!(
    /// How the stage ended.
    Outcome of record::Outcome { Complete, Blocked, Cancelled, Error, Interrupted }
);
words!(
    /// How grave a finding is.
    Severity of judged::Severity { Low, Medium, High, Critical }
);
words!(
    /// Why a policy gave no verdict.
    PolicyError of record::PolicyError { Trap, Fuel, Deadline, Memory, Stack, Size, Inconsistent, Refused }
);
words!(
    /// Who speaks.
    Role of judged::Role { System, User, Assistant, Tool }
);
words!(
    /// Whether an agent takes turns.
    AgentState of gavel_store::AgentState { Stopped, Running }
);
words!(
    /// How a checkpoint came about.
    CheckpointKind of gavel_store::CheckpointKind { Automatic, Manual }
);

/// How often a policy's rule found something: what `gavel_log::record::FindingCount` writes.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct FindingCount {
    count: u64,
    rule: String,
    #[schema(value_type = Severity)]
    severity: (),
}

/// The proof of one governance result: what `gavel_log::ProofAnswer` writes.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({
    "agent_id": "ocs_01k6zv3mfe5x8q2r7t9w4y6b0n",
    "hash": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "proof": {
        "leaf_index": 69, "tree_size": 70,
        "root_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "inclusion_path": ["60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"],
        "entry": "{…}", "record": "{…}",
        "nonce": "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9",
        "checkpoint": "gavel.example.org/log\n70\n…", "tlog_proof": "c2sp.org/tlog-proof@v1\n…", "witnessed": false,
    },
    "proof_error": null,
    "verification_url": "/verify/proof/sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "verification_portal": "https://obligationsign.com/verify/",
})))]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct ProofAnswer {
    #[schema(value_type = AgentId)]
    agent_id: (),
    #[schema(value_type = LeafHash)]
    hash: (),
    /// Null while, or once, it cannot be given.
    #[schema(required, value_type = Option<Proof>)]
    proof: (),
    /// Why there is none.
    #[schema(required, value_type = Option<String>)]
    proof_error: (),
    /// The path of the public proof.
    #[schema(value_type = String, example = "/verify/proof/sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    verification_url: (),
    /// A portal that checks proofs.
    #[schema(value_type = String, example = "https://obligationsign.com/verify/")]
    verification_portal: (),
    /// The fields that were asked for in clear, each with the key that ties it to the record.
    #[schema(required = false, value_type = std::collections::BTreeMap<String, OpenedField>)]
    opening: (),
    /// What `gavel verify --replay` needs besides the opening and the components, where `opening=replay` asked for it.
    #[schema(required = false, value_type = ReplayParts)]
    replay: (),
}

/// What computing a record's verdicts again needs besides the opening and the components.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct ReplayParts {
    /// The configurations that the record names, by the hex digits of their digests.
    configs: std::collections::BTreeMap<String, serde_json::Value>,
    /// Given where a policy failed while it followed the text.
    #[schema(required = false, value_type = Streamed)]
    streamed: (),
}

/// How policies that failed while they followed a text were given it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct Streamed {
    /// Bytes of each piece, in order.
    pieces: Vec<u32>,
    /// The places of their verdicts in the record.
    verdicts: Vec<u32>,
}

/// Everything that is needed to check one governance result offline.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct Proof {
    leaf_index: u64,
    /// Leaves in the checkpoint's tree.
    tree_size: u64,
    #[schema(value_type = HexHash)]
    root_hash: (),
    /// From the leaf's sibling up.
    #[schema(value_type = Vec<HexHash>)]
    inclusion_path: (),
    /// The leaf's bytes: RFC 8785 text.
    entry: String,
    /// What the entry commits to: RFC 8785 text.
    record: String,
    /// The 32 bytes that blind the record.
    #[schema(value_type = HexHash)]
    nonce: (),
    /// The signed note.
    checkpoint: String,
    /// The same as one c2sp.org/tlog-proof text.
    tlog_proof: String,
    /// Whether the checkpoint was cosigned as the server's witness policy asks.
    witnessed: bool,
}

/// A committed field in clear.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "its shape alone is wanted")]
pub(crate) struct OpenedField {
    /// The committed value.
    text: String,
    /// The field's key.
    #[schema(value_type = HexHash)]
    key: (),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape<T: PartialSchema>() -> serde_json::Value {
        serde_json::to_value(T::schema()).unwrap()
    }

    #[test]
    fn words_are_spelled_as_the_api_spells_them() {
        let stages = json!(["input", "output", "reasoning", "tool_call", "tool_result", "file"]);
        assert_eq!(shape::<Stage>()["enum"], stages);
        assert_eq!(shape::<Mode>()["enum"], json!(["transparent", "enforcing"]));
    }

    #[test]
    fn examples_of_ids_are_ids() {
        let example = |shape: serde_json::Value| shape["examples"][0].as_str().unwrap().to_owned();
        assert!(example(shape::<AgentId>()).parse::<gavel_store::AgentId>().is_ok());
        assert!(example(shape::<SessionId>()).parse::<gavel_store::SessionId>().is_ok());
        assert!(example(shape::<MessageId>()).parse::<gavel_store::MessageId>().is_ok());
        assert!(example(shape::<CheckpointId>()).parse::<gavel_store::CheckpointId>().is_ok());
        assert!(gavel_log::Hash::parse_tagged(&example(shape::<LeafHash>())).is_ok());
    }
}
