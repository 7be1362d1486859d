//! The worlds `policy-plugin` and `streaming-policy-plugin`.

use std::cell::RefCell;

use super::{Exported, ExportedStreaming, Slot, keep, kept};
use crate::bindings::policy_plugin::exports::gavel::plugin::policy as whole;
use crate::bindings::streaming_policy_plugin::exports::gavel::plugin::{policy, streaming};
use crate::policy::{Policy, Rule, Stage, StreamingPolicy, Subject};

const NOT_CONFIGURED: &str = "the policy has not been configured";
const FINISHED: &str = "the review is over";

/// The heap that the snapshot holds in reserve, in bytes: enough for a usual evaluation, so that an instance
/// made from it need not grow its memory.
const RESERVE: usize = 64 * 1024;

/// Judges the warm-up text and throws the verdict away.
fn warm_up<P: Policy>(policy: &P) -> Subject {
    std::hint::black_box(Vec::<u8>::with_capacity(RESERVE));
    let subject = Subject::text(Stage::Output, policy.warm_up_text());
    drop(std::hint::black_box(policy.evaluate(&subject)));
    subject
}

/// Pushes the warm-up text in two halves.
fn warm_up_streaming<P: StreamingPolicy>(policy: &P, subject: &Subject) {
    let mut review = policy.begin(Subject::text(Stage::Output, ""));
    let (first, second) = subject.text.split_at(subject.text.floor_char_boundary(subject.text.len() / 2));
    for half in [first, second] {
        drop(std::hint::black_box(policy.push(&mut review, half)));
    }
    drop(std::hint::black_box(policy.finish(review)));
}

fn configure<S: Slot<Plugin: Policy>>(config_json: &str) -> Result<(&'static S::Plugin, Vec<Rule>), String> {
    let policy = keep::<S>(S::Plugin::configure(config_json)?)?;
    Ok((policy, policy.rules()))
}

impl<S: Slot<Plugin: Policy>> whole::Guest for Exported<S> {
    fn describe() -> whole::Manifest {
        S::Plugin::manifest().into()
    }

    fn configure(config_json: String) -> Result<whole::Configured, String> {
        let (policy, rules) = configure::<S>(&config_json)?;
        warm_up(policy);
        Ok(whole::Configured { rules: rules.into_iter().map(Into::into).collect() })
    }

    fn evaluate(subject: whole::Subject) -> Result<whole::Verdict, String> {
        kept::<S>().ok_or(NOT_CONFIGURED)?.evaluate(&subject.into()).map(Into::into)
    }
}

impl<S: Slot<Plugin: StreamingPolicy>> policy::Guest for ExportedStreaming<S> {
    fn describe() -> policy::Manifest {
        S::Plugin::manifest().into()
    }

    fn configure(config_json: String) -> Result<policy::Configured, String> {
        let (policy, rules) = configure::<S>(&config_json)?;
        let subject = warm_up(policy);
        warm_up_streaming(policy, &subject);
        Ok(policy::Configured { rules: rules.into_iter().map(Into::into).collect() })
    }

    fn evaluate(subject: policy::Subject) -> Result<policy::Verdict, String> {
        kept::<S>().ok_or(NOT_CONFIGURED)?.evaluate(&subject.into()).map(Into::into)
    }
}

impl<S: Slot<Plugin: StreamingPolicy>> streaming::Guest for ExportedStreaming<S> {
    type Review = Review<S>;
}

/// The resource `review`.
pub struct Review<S: Slot<Plugin: StreamingPolicy>> {
    /// None once it is finished, and if the policy was not configured.
    under_way: RefCell<Option<<S::Plugin as StreamingPolicy>::Review>>,
}

impl<S: Slot<Plugin: StreamingPolicy>> streaming::GuestReview for Review<S> {
    fn new(subject: policy::Subject) -> Self {
        Self { under_way: RefCell::new(kept::<S>().map(|policy| policy.begin(subject.into()))) }
    }

    fn push(&self, text: String) -> Result<streaming::Progress, String> {
        let policy = kept::<S>().ok_or(NOT_CONFIGURED)?;
        let mut under_way = self.under_way.borrow_mut();
        policy.push(under_way.as_mut().ok_or(FINISHED)?, &text).map(Into::into)
    }

    fn finish(&self) -> Result<policy::Verdict, String> {
        let policy = kept::<S>().ok_or(NOT_CONFIGURED)?;
        policy.finish(self.under_way.borrow_mut().take().ok_or(FINISHED)?).map(Into::into)
    }
}
