//! What is wrong with a request, gathered, so that a client learns of all of it at once.

use super::super::problem::Problem;
use crate::agent::FieldError;

/// Most characters of a tool's name and of a call's id.
const MAX_NAME_CHARS: usize = 128;

/// What a name has to be.
pub(super) const NAME: &str = "must have 1 to 128 letters, digits, `_`, `-`, `.` and `:`";

/// Whether a name can stand for a tool or a call.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain)
}

/// What is wrong with a request.
#[derive(Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes what is wrong with a field.
    pub(super) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    /// Whether nothing is.
    pub(super) fn none(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}
