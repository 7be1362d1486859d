//! The gate against its contract, with several policies and random edits.

use proptest::prelude::*;

use super::*;

/// A policy that knows its edits from the start and clears as slowly as it likes.
#[derive(Clone, Debug)]
struct Scripted {
    edits: Vec<Edit>,
    /// How many bytes it lags behind what it was given.
    lag: usize,
}

impl Scripted {
    /// What it clears of `pushed` bytes: never inside an edit, and an edit only once it was pushed whole.
    fn cleared(&self, text: &str, pushed: usize) -> usize {
        let mut at = pushed.saturating_sub(self.lag);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        self.edits
            .iter()
            .find(|edit| (edit.span.start as usize) < at && at < edit.span.end as usize)
            .map_or(at, |edit| edit.span.start as usize)
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap()
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zé世 ]{0,60}"
}

fn scripted(text: &str) -> impl Strategy<Value = Scripted> + use<> {
    let boundaries: Vec<usize> = (0..=text.len()).filter(|&at| text.is_char_boundary(at)).collect();
    let cuts = prop::collection::btree_set(prop::sample::select(boundaries), 0..8);
    (cuts, 0_usize..20, prop::collection::vec("[A-Z]{1,4}", 4)).prop_map(|(cuts, lag, words)| {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let edits =
            cuts.chunks_exact(2).zip(words).map(|(span, word)| edit(offset(span[0]), offset(span[1]), &word)).collect();
        Scripted { edits, lag }
    })
}

fn cases() -> impl Strategy<Value = (String, Vec<Scripted>, Vec<usize>)> {
    texts().prop_flat_map(|text| {
        let policies = prop::collection::vec(scripted(&text), 0..4);
        let deltas = prop::collection::vec(1_usize..8, 1..80);
        (Just(text), policies, deltas)
    })
}

/// Drives a gate as a turn does; gives what was released piece by piece.
fn drive(text: &str, policies: &[Scripted], deltas: &[usize]) -> (Gate, Vec<String>) {
    let mut gate = Gate::new((0..policies.len()).map(|index| format!("policy-{index}")));
    let mut before = vec![0; policies.len()];
    let mut pieces = Vec::new();
    let (mut at, mut deltas) = (0, deltas.iter().cycle());
    while at < text.len() {
        let mut end = (at + deltas.next().copied().unwrap_or(1)).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        gate.receive(&text[at..end]);
        at = end;
        for (index, policy) in policies.iter().enumerate() {
            let cleared = policy.cleared(text, at).max(before[index]);
            gate.progress(index, cleared, between(&policy.edits, before[index], cleared).to_vec());
            before[index] = cleared;
        }
        assert!(before.iter().all(|&cleared| gate.released() <= cleared));
        pieces.extend(gate.release().map(Cleared::into_string));
    }
    (gate, pieces)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Piece by piece or whole, the same text comes out.
    #[test]
    fn streamed_equals_whole((text, policies, deltas) in cases()) {
        let (mut gate, mut pieces) = drive(&text, &policies, &deltas);
        for (index, policy) in policies.iter().enumerate() {
            gate.conclude(index, policy.edits.clone());
        }
        pieces.extend(gate.release().map(Cleared::into_string));
        let names: Vec<_> = (0..policies.len()).map(|index| format!("policy-{index}")).collect();
        let all: Vec<_> = policies
            .iter()
            .zip(&names)
            .map(|(policy, name)| PolicyEdits { policy: name, edits: &policy.edits })
            .collect();
        let (whole, edits) = clear_whole(&text, &all);
        prop_assert_eq!(pieces.concat(), whole.as_str());
        prop_assert_eq!(gate.merged(), &edits[..]);
        prop_assert_eq!(gate.released(), text.len());
    }

    /// What was released at any time is what the record will say of that many source bytes.
    #[test]
    fn a_cut_stream_is_edits_applied_to_its_prefix((text, policies, deltas) in cases()) {
        let (gate, pieces) = drive(&text, &policies, &deltas);
        let prefix = &text[..gate.released()];
        prop_assert_eq!(pieces.concat(), gavel_log::apply_edits(prefix, gate.merged()).unwrap());
    }

    /// No byte of any policy's edit comes out, wherever the deltas are cut.
    #[test]
    fn no_edited_byte_leaves((text, policies, deltas) in cases()) {
        // Upper case stands in replacements only, so the source's bytes are told apart.
        let (_, pieces) = drive(&text, &policies, &deltas);
        let out = pieces.concat();
        let kept: String = text
            .char_indices()
            .filter(|(at, _)| !policies.iter().flat_map(|p| &p.edits).any(|edit| {
                (edit.span.start as usize) <= *at && *at < edit.span.end as usize
            }))
            .map(|(_, c)| c)
            .collect();
        let sent: String = out.chars().filter(|c| !c.is_ascii_uppercase()).collect();
        prop_assert!(kept.starts_with(&sent), "{sent:?} is no beginning of {kept:?}");
    }
}

#[test]
fn the_longest_edit_wins_and_ties_go_by_name() {
    let (long, short) = ([edit(0, 6, "LONG")], [edit(4, 8, "SHORT")]);
    let policies =
        |first, second| [PolicyEdits { policy: first, edits: &short }, PolicyEdits { policy: second, edits: &long }];
    assert_eq!(merge(&policies("a", "b")), [edit(0, 8, "LONG")]);
    let (left, right) = ([edit(0, 4, "LEFT")], [edit(2, 6, "RIGHT")]);
    let tie = [PolicyEdits { policy: "z", edits: &left }, PolicyEdits { policy: "a", edits: &right }];
    assert_eq!(merge(&tie), [edit(0, 6, "RIGHT")]);
}

#[test]
fn touching_edits_stay_two() {
    let edits = [edit(0, 4, "A"), edit(4, 8, "B")];
    assert_eq!(merge(&[PolicyEdits { policy: "p", edits: &edits }]), edits);
}

#[test]
fn without_policies_all_passes_and_nothing_counts_as_judged() {
    let mut gate = Gate::new([]);
    gate.receive("hello");
    assert_eq!(gate.release().unwrap().as_str(), "hello");
    assert_eq!(gate.judged(), 0);
}

#[test]
fn a_policy_that_fails_open_holds_nothing_back() {
    let mut gate = Gate::new(["slow".into(), "quick".into()]);
    gate.receive("hello");
    gate.progress(1, 5, Vec::new());
    assert_eq!(gate.release(), None);
    gate.leave(0);
    assert_eq!(gate.release().unwrap().as_str(), "hello");
}
