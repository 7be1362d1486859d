//! The gate: what may be sent, and as what. It implements "The gate" of `docs/formats.md`.
//!
//! It knows texts, offsets and edits only; who asks the policies and when is not its business. Offsets are bytes of
//! the *source* text, as received; [`Cleared`] text is what stands in their place after the edits.

use gavel_log::judged::Edit;

/// The version of these rules, as records name it.
pub(crate) const GATE_VERSION: u32 = 1;

/// Text that every enforcing policy has cleared: the only text that may be sent. Only the gate makes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleared(String);

impl Cleared {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// One policy's edits on a text: sorted and disjoint.
#[derive(Clone, Debug)]
pub(crate) struct PolicyEdits<'a> {
    /// The policy's name, which breaks ties.
    pub(crate) policy: &'a str,
    pub(crate) edits: &'a [Edit],
}

/// Unites the edits of several policies: overlapping ones become one, with the replacement of the longest of them;
/// of equally long ones the policy's name that sorts first wins, then the one that starts first.
pub(crate) fn merge(policies: &[PolicyEdits<'_>]) -> Vec<Edit> {
    let mut all: Vec<(&Edit, &str)> =
        policies.iter().flat_map(|policy| policy.edits.iter().map(|edit| (edit, policy.policy))).collect();
    // Stable: equal starts keep the order of bindings.
    all.sort_by_key(|(edit, _)| edit.span.start);
    let mut merged: Vec<Edit> = Vec::with_capacity(all.len());
    let mut winner: (u32, &str) = (0, "");
    for (edit, policy) in all {
        let length = edit.span.end - edit.span.start;
        match merged.last_mut() {
            Some(last) if edit.span.start < last.span.end => {
                last.span.end = last.span.end.max(edit.span.end);
                if length > winner.0 || (length == winner.0 && policy < winner.1) {
                    last.replacement.clone_from(&edit.replacement);
                    winner = (length, policy);
                }
            }
            _ => {
                merged.push(edit.clone());
                winner = (length, policy);
            }
        }
    }
    merged
}

/// Applies merged edits that lie in `from..to` of `text`.
fn apply(text: &str, from: usize, to: usize, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(to.saturating_sub(from));
    let mut at = from;
    for edit in edits {
        out.push_str(text.get(at..edit.span.start as usize).unwrap_or_default());
        out.push_str(&edit.replacement);
        at = edit.span.end as usize;
    }
    out.push_str(text.get(at..to).unwrap_or_default());
    out
}

/// A text that was judged whole, with the edits that its enforcing policies want.
pub(crate) fn clear_whole(text: &str, policies: &[PolicyEdits<'_>]) -> (Cleared, Vec<Edit>) {
    let edits = merge(policies);
    (Cleared(apply(text, 0, text.len(), &edits)), edits)
}

/// How far one policy has come.
#[derive(Debug)]
struct Held {
    policy: String,
    cleared: usize,
    edits: Vec<Edit>,
    /// Holds nothing back any more: it failed, and its binding lets pass.
    absent: bool,
}

/// Holds a text back until every enforcing policy has cleared it.
///
/// Invariant: `released` is at most every present policy's `cleared`, and lies strictly inside no edit.
#[derive(Debug)]
pub(crate) struct Gate {
    text: String,
    released: usize,
    held: Vec<Held>,
    merged: Vec<Edit>,
}

impl Gate {
    /// A gate for these enforcing policies, in binding order. Without any, all text is cleared at once.
    pub(crate) fn new(policies: impl IntoIterator<Item = String>) -> Self {
        let held =
            policies.into_iter().map(|policy| Held { policy, cleared: 0, edits: Vec::new(), absent: false }).collect();
        Self { text: String::new(), released: 0, held, merged: Vec::new() }
    }

    /// Takes text from the source.
    pub(crate) fn receive(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// All text received.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Bytes of the source released so far.
    pub(crate) fn released(&self) -> usize {
        self.released
    }

    /// Bytes that every enforcing policy has cleared; 0 where none is enforced.
    pub(crate) fn judged(&self) -> usize {
        if self.held.iter().all(|held| held.absent) { 0 } else { self.limit() }
    }

    /// The merged edits of what was released.
    pub(crate) fn merged(&self) -> &[Edit] {
        &self.merged
    }

    /// Policy `index` cleared up to `cleared`, with `edits` between its previous `cleared` and this one.
    pub(crate) fn progress(&mut self, index: usize, cleared: usize, edits: Vec<Edit>) {
        if let Some(held) = self.held.get_mut(index) {
            held.cleared = cleared.max(held.cleared).min(self.text.len());
            held.edits.extend(edits);
        }
    }

    /// Policy `index` judged the whole text: it clears all of it, and `edits` are all its edits.
    pub(crate) fn conclude(&mut self, index: usize, edits: Vec<Edit>) {
        if let Some(held) = self.held.get_mut(index) {
            held.cleared = self.text.len();
            held.edits = edits;
        }
    }

    /// Policy `index` failed and its binding lets pass: it holds nothing back any more. Edits that it gave stay.
    pub(crate) fn leave(&mut self, index: usize) {
        if let Some(held) = self.held.get_mut(index) {
            held.absent = true;
        }
    }

    /// Releases what may be sent now.
    pub(crate) fn release(&mut self) -> Option<Cleared> {
        let to = self.boundary(self.limit());
        if to <= self.released {
            return None;
        }
        let from = self.released;
        let due: Vec<_> = self
            .held
            .iter()
            .map(|held| PolicyEdits { policy: &held.policy, edits: between(&held.edits, from, to) })
            .collect();
        let edits = merge(&due);
        let text = apply(&self.text, from, to, &edits);
        self.merged.extend(edits);
        self.released = to;
        Some(Cleared(text))
    }

    fn limit(&self) -> usize {
        let present = self.held.iter().filter(|held| !held.absent);
        present.map(|held| held.cleared).min().unwrap_or(self.text.len())
    }

    /// The largest offset of at most `limit` that is strictly inside no edit.
    fn boundary(&self, limit: usize) -> usize {
        let mut at = limit;
        loop {
            let inside = |edit: &&Edit| (edit.span.start as usize) < at && at < edit.span.end as usize;
            match self.held.iter().filter_map(|held| held.edits.iter().rev().find(inside)).next() {
                Some(edit) => at = edit.span.start as usize,
                None => return at,
            }
        }
    }
}

/// The edits inside `from..to`. They are sorted, and neither end lies inside one.
fn between(edits: &[Edit], from: usize, to: usize) -> &[Edit] {
    let start = edits.partition_point(|edit| (edit.span.start as usize) < from);
    let end = edits.partition_point(|edit| edit.span.end as usize <= to);
    edits.get(start..end.max(start)).unwrap_or_default()
}

/// An edit, in tests and for callers that have offsets as `usize`.
#[cfg(test)]
pub(crate) fn edit(start: u32, end: u32, replacement: &str) -> Edit {
    Edit { span: gavel_log::judged::Span { start, end }, replacement: replacement.into() }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
