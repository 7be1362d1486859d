//! Checks for the tests of a policy.

use crate::policy::{Decision, Edit, Progress, Stage, StreamingPolicy, Subject};

/// Judges a text whole and in pieces, and checks that both agree and that the contract of `policy.wit` is kept.
///
/// The text is cut at each of `cuts`, taken modulo its length and moved back to a character boundary, so that
/// any numbers will do. Made for property tests.
///
/// # Errors
/// What was not kept.
pub fn streamed_equals_whole<P: StreamingPolicy>(policy: &P, text: &str, cuts: &[usize]) -> Result<(), String> {
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    let mut watch = Watch::default();
    for piece in pieces(text, cuts) {
        let progress = policy.push(&mut review, piece)?;
        watch.pushed(text, piece.len(), progress)?;
    }
    let streamed = policy.finish(review)?;
    let whole = policy.evaluate(&Subject::text(Stage::Output, text))?;
    ensure(streamed == whole, || format!("streamed {streamed:?}, whole {whole:?}"))?;
    watch.finished(&streamed.decision)
}

fn pieces<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
    bounds.push(text.len());
    bounds.sort_unstable();
    let mut from = 0;
    bounds.into_iter().filter_map(|to| text.get(std::mem::replace(&mut from, to)..to)).collect()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// What a review has promised so far.
#[derive(Default)]
struct Watch {
    pushed: usize,
    cleared: usize,
    edits: Vec<Edit>,
    blocked: Option<String>,
}

impl Watch {
    fn pushed(&mut self, text: &str, bytes: usize, progress: Progress) -> Result<(), String> {
        self.pushed += bytes;
        let (before, cleared) = (self.cleared, progress.cleared as usize);
        ensure(cleared >= before, || format!("cleared goes back from {before} to {cleared}"))?;
        ensure(cleared <= self.pushed, || format!("cleared {cleared} of {} pushed", self.pushed))?;
        ensure(text.is_char_boundary(cleared), || format!("cleared {cleared} cuts a character"))?;
        let mut free = before;
        for edit in &progress.edits {
            let (start, end) = (edit.span.start as usize, edit.span.end as usize);
            ensure(free <= start && start < end && end <= cleared, || {
                format!("{edit:?} is out of order, or outside of {before}..{cleared}")
            })?;
            ensure(text.is_char_boundary(start) && text.is_char_boundary(end), || {
                format!("{edit:?} cuts a character")
            })?;
            let fit = (1..=256).contains(&edit.replacement.len()) && !edit.replacement.contains(char::is_control);
            ensure(fit, || format!("{edit:?} has a replacement that is not allowed"))?;
            free = end;
        }
        if self.blocked.is_some() {
            ensure(self.blocked == progress.blocked, || "a block was taken back".to_owned())?;
        }
        self.blocked = progress.blocked;
        self.cleared = cleared;
        self.edits.extend(progress.edits);
        Ok(())
    }

    fn finished(&self, decision: &Decision) -> Result<(), String> {
        if let Some(rule) = &self.blocked {
            let same = matches!(decision, Decision::Block(blocked) if blocked == rule);
            return ensure(same, || format!("blocked for {rule}, then {decision:?}"));
        }
        let cleared: Vec<&Edit> = match decision {
            Decision::Redact(edits) => edits.iter().filter(|edit| (edit.span.start as usize) < self.cleared).collect(),
            // A block that only the end showed: what was sent before it keeps its edits.
            Decision::Block(_) => return Ok(()),
            Decision::Allow | Decision::Flag => Vec::new(),
        };
        let same = cleared.iter().copied().eq(self.edits.iter());
        ensure(same, || format!("edits below {} were {:?}, and are {cleared:?}", self.cleared, self.edits))
    }
}

#[cfg(test)]
mod tests;
