//! A policy made of detectors.

use std::fmt;
use std::marker::PhantomData;

use super::config::{Config, covers, schema};
use super::outcome::{Outcome, offset};
use super::{Action, Detector, Detectors, LOOK_BEHIND, Step};
use crate::policy::{Manifest, Policy, Progress, Rule, StreamingPolicy, Subject, Verdict, WARM_UP_TEXT};

/// From this many pending bytes on, a text is not scanned again at each push.
const PATIENCE: usize = 512;

/// What a [`ScanPolicy`] looks for.
pub trait Scan: 'static {
    /// The policy's name: kebab-case.
    const NAME: &'static str;
    /// Its semantic version.
    const VERSION: &'static str;
    /// One sentence for the person who binds it.
    const SUMMARY: &'static str;

    /// What the configuration may hold beside `action`, `actions` and `allow`: the `properties` of a JSON Schema, as
    /// the text of a JSON object. Nothing, unless said.
    const SETTINGS: &'static str = "{}";

    /// At most 32. Several may share a rule.
    fn detectors() -> Vec<Detector>;

    /// The same detectors, of the same rules, set up by what the configuration says: `settings_json` is an object of
    /// those members that [`SETTINGS`](Self::SETTINGS) names.
    ///
    /// # Errors
    /// Words for the person who binds the policy.
    fn configured(settings_json: &str) -> Result<Vec<Detector>, String> {
        let _ = settings_json;
        Ok(Self::detectors())
    }
}

/// A policy that finds what `S` looks for, with the configuration that the bundled detectors share:
/// `{"action": "redact", "actions": {"<rule>": "redact|block|flag|off"}, "allow": ["<pattern>"]}`, and with
/// [settings](Scan::SETTINGS) of its own where it has some.
pub struct ScanPolicy<S> {
    /// Those that are not off.
    detectors: Detectors,
    /// For each detector.
    actions: Vec<Action>,
    allowed: Vec<String>,
    rules: Vec<Rule>,
    scan: PhantomData<S>,
}

impl<S> fmt::Debug for ScanPolicy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanPolicy").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A text that is being written.
#[derive(Debug)]
pub struct Review {
    /// What is pending, and the [`LOOK_BEHIND`] characters before it.
    retained: String,
    /// Where `retained` starts in the text.
    base: usize,
    /// Where the pending text starts in `retained`.
    pending: usize,
    /// Scanned again when `retained` has grown to this.
    rescan_at: usize,
    /// Edits that have been reported.
    reported: usize,
    outcome: Outcome,
}

impl<S: Scan> ScanPolicy<S> {
    /// Takes the matches of a text from byte `from` on; says where it is pending.
    fn scan(&self, text: &str, mut from: usize, base: usize, complete: bool, outcome: &mut Outcome) -> usize {
        loop {
            match self.detectors.next(text, from, complete) {
                Step::Match(found) => {
                    from = found.end;
                    let matched = text.get(found.start..found.end).unwrap_or_default();
                    if self.allowed.iter().any(|pattern| covers(pattern, matched)) {
                        continue;
                    }
                    if let (Some(detector), Some(action)) =
                        (self.detectors.get(found.detector), self.actions.get(found.detector))
                    {
                        outcome.take(detector, *action, found, base);
                    }
                }
                Step::Pending(at) => return at,
                Step::End => return text.len(),
            }
        }
    }
}

impl<S: Scan> Policy for ScanPolicy<S> {
    fn manifest() -> Manifest {
        Manifest {
            config_schema: schema(&S::detectors(), S::SETTINGS),
            ..Manifest::new(S::NAME, S::VERSION, S::SUMMARY)
        }
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        let (config, settings_json) = Config::parse(config_json, S::SETTINGS)?;
        let mut detectors = S::configured(&settings_json)?;
        config.check(&detectors)?;
        detectors.retain(|detector| config.action(detector.rule) != Action::Off);
        let actions = detectors.iter().map(|detector| config.action(detector.rule)).collect();
        let mut rules: Vec<Rule> = Vec::new();
        for detector in &detectors {
            if rules.iter().all(|rule| rule.id != detector.rule) {
                rules.push(Rule::new(detector.rule, detector.summary));
            }
        }
        let allowed = config.into_allowed();
        Ok(Self { detectors: Detectors::new(detectors)?, actions, allowed, rules, scan: PhantomData })
    }

    fn rules(&self) -> Vec<Rule> {
        self.rules.clone()
    }

    fn evaluate(&self, subject: &Subject) -> Result<Verdict, String> {
        let mut outcome = Outcome::default();
        self.scan(&subject.text, 0, 0, true, &mut outcome);
        Ok(outcome.into_verdict())
    }

    fn warm_up_text(&self) -> String {
        let mut text = WARM_UP_TEXT.repeat(8);
        for detector in self.detectors.iter() {
            text.push_str(detector.example);
            text.push('\n');
        }
        text
    }
}

impl<S: Scan> StreamingPolicy for ScanPolicy<S> {
    type Review = Review;

    fn begin(&self, subject: Subject) -> Review {
        Review { retained: subject.text, base: 0, pending: 0, rescan_at: 0, reported: 0, outcome: Outcome::default() }
    }

    fn push(&self, review: &mut Review, text: &str) -> Result<Progress, String> {
        review.retained.push_str(text);
        if review.retained.len() >= review.rescan_at {
            let Review { retained, base, pending, outcome, .. } = review;
            review.pending = self.scan(retained, *pending, *base, false, outcome);
            review.forget_what_is_settled();
        }
        Ok(review.progress())
    }

    fn finish(&self, mut review: Review) -> Result<Verdict, String> {
        self.scan(&review.retained, review.pending, review.base, true, &mut review.outcome);
        Ok(review.outcome.into_verdict())
    }
}

impl Review {
    fn forget_what_is_settled(&mut self) {
        let settled = self.retained.get(..self.pending).unwrap_or_default();
        let gone = settled.char_indices().nth_back(LOOK_BEHIND - 1).map_or(0, |(at, _)| at);
        self.retained.drain(..gone);
        self.base += gone;
        self.pending -= gone;
        // A long pending text waits until it has grown by an eighth, so that the work stays in proportion to
        // the text, however small the pushes.
        let waiting = self.retained.len() - self.pending;
        self.rescan_at = self.retained.len() + if waiting < PATIENCE { 0 } else { waiting / 8 };
    }

    fn progress(&mut self) -> Progress {
        let edits = self.outcome.edits_from(self.reported).to_vec();
        self.reported += edits.len();
        let (blocked, cleared) = match self.outcome.blocked() {
            Some((rule, start)) => (Some(rule.to_owned()), start),
            None => (None, self.base + self.pending),
        };
        Progress { cleared: offset(cleared), edits, blocked }
    }
}
