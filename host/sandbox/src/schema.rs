//! A plugin's configuration schema (JSON Schema, draft 2020-12): compiled once, asked for each configuration.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Most bytes of a schema.
const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// Most faults that are reported of one configuration.
const MAX_FAULTS: usize = 32;

/// One place where a configuration breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// JSON pointer (RFC 6901) into the configuration.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// Reads and compiles a schema. It is a stranger's, so its patterns run on an engine of linear time.
pub(crate) fn compile(text: &str) -> Result<(Value, Validator), String> {
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(format!("over {MAX_SCHEMA_BYTES} bytes"));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let options = jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(&schema).map_err(|error| error.to_string())?;
    Ok((schema, validator))
}

/// Where a configuration breaks its schema: the first places. Values are masked, since one may be a secret.
pub(crate) fn faults(validator: &Validator, config: &Value) -> Vec<ConfigFault> {
    let errors = validator.iter_errors(config).take(MAX_FAULTS);
    errors
        .map(|error| ConfigFault { pointer: error.instance_path().to_string(), detail: error.masked().to_string() })
        .collect()
}
