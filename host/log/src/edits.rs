//! Applying a verdict's edits to the text that they are for.

use crate::judged::Edit;

/// Why edits do not fit a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The span is empty, or ends before it starts.
    #[error("edit {0} replaces nothing")]
    Empty(usize),
    /// It starts before the one in front of it ends.
    #[error("edit {0} does not follow the one before it")]
    Order(usize),
    /// It reaches beyond the text, or cuts a character.
    #[error("edit {0} is not on the text's character boundaries")]
    Boundary(usize),
}

/// The text with every edit's span replaced.
///
/// Edits are sorted and disjoint (one may start where another ends), each not empty and on character boundaries.
///
/// # Errors
/// When they are not; the number is the edit's position, from 0.
pub fn apply_edits(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut edited = String::with_capacity(text.len());
    let mut done = 0;
    for (position, edit) in edits.iter().enumerate() {
        let boundary = |offset: u32| usize::try_from(offset).map_err(|_| EditError::Boundary(position));
        let (start, end) = (boundary(edit.span.start)?, boundary(edit.span.end)?);
        if start >= end {
            return Err(EditError::Empty(position));
        }
        if start < done {
            return Err(EditError::Order(position));
        }
        let kept = text.get(done..start).ok_or(EditError::Boundary(position))?;
        if !text.is_char_boundary(end) {
            return Err(EditError::Boundary(position));
        }
        edited.push_str(kept);
        edited.push_str(&edit.replacement);
        done = end;
    }
    edited.push_str(text.get(done..).ok_or(EditError::Boundary(edits.len()))?);
    Ok(edited)
}
