//! RFC 8785 canonical JSON.

mod in_order;

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use crate::MAX_INTEGER;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum JcsError {
    /// The value does not serialise to JSON.
    #[error("no canonical JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// RFC 8785 would round the integer to a double, so that two values would share one form.
    #[error("the integer {0} is beyond 2^53 - 1")]
    Integer(String),
}

/// Writes a value in the form of RFC 8785.
///
/// What serialises in canonical order already is written at once; the types of this crate's formats do.
///
/// # Errors
/// When the value does not serialise to JSON, or holds an integer beyond ±(2^53 − 1), which RFC 8785 would round.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, JcsError> {
    in_order::to_string(value).map_or_else(|| sorted(value), Ok)
}

/// The general way.
fn sorted<T: Serialize + ?Sized>(value: &T) -> Result<String, JcsError> {
    let value = serde_json::to_value(value)?;
    check_integers(&value)?;
    Ok(serde_json_canonicalizer::to_string(&value)?)
}

/// Recursion is no deeper than serialising the value was.
fn check_integers(value: &Value) -> Result<(), JcsError> {
    match value {
        Value::Number(number) => {
            let exact = match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => n <= MAX_INTEGER,
                (None, Some(n)) => n.unsigned_abs() <= MAX_INTEGER,
                (None, None) => true,
            };
            if exact { Ok(()) } else { Err(JcsError::Integer(number.to_string())) }
        }
        Value::Array(items) => items.iter().try_for_each(check_integers),
        Value::Object(members) => members.values().try_for_each(check_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}
