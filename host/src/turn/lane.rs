//! One stage of an answer while it is written: its text, the reviews that follow it, and the gate that holds it.

use std::sync::Arc;

use futures_util::future::join_all;
use gavel_log::Streamed;
use gavel_log::judged::{Decision, Edit, Stage, Verdict};
use gavel_log::record::{Coverage, Mode, OnError, PolicyError};
use gavel_sandbox::policy::Review;
use gavel_store::Release;

use super::gate::{Cleared, Gate};
use super::judge::{Answer, Judgement, SubjectFrame, evaluate_all, report};
use crate::plugins::{BoundBinding, BoundSet};

/// How an enforcing policy follows the text.
enum Follower {
    /// It clears the text as it goes.
    Reviewing(Box<Review>),
    /// It judges the text when it is whole.
    Waiting,
    /// It failed on the way.
    Failed(PolicyError, u64),
}

/// A stage that is being written.
pub(crate) struct Lane {
    stage: Stage,
    mode: Mode,
    gate: Gate,
    /// Each with its place among the stage's bindings: records keep their order.
    enforcing: Vec<(usize, Arc<BoundBinding>, Follower)>,
    observing: Vec<(usize, Arc<BoundBinding>)>,
    /// Bytes of each piece that was pushed.
    pieces: Vec<u32>,
    released: String,
    blocked: bool,
    /// Thinking that no enforcing policy judges is not shown in enforcing mode.
    withheld: bool,
}

/// A stage that is over.
pub(crate) struct Finished {
    pub(crate) judgement: Judgement,
    /// What was still held and may now be sent; nothing where the verdict blocks or the answer broke off.
    pub(crate) rest: Option<Cleared>,
    /// All text received.
    pub(crate) text: String,
    /// All text released.
    pub(crate) released: String,
    pub(crate) edits: Vec<Edit>,
    pub(crate) coverage: Coverage,
    /// Given where a policy failed while it followed the text.
    pub(crate) streamed: Option<Streamed>,
}

impl Lane {
    /// Begins the reviews of the policies that are enforced and can clear text as it goes.
    pub(crate) async fn open(set: &BoundSet, frame: &SubjectFrame, stage: Stage, mode: Mode) -> Self {
        let (enforcing, observing): (Vec<_>, Vec<_>) =
            set.at(stage).into_iter().enumerate().partition(|(_, binding)| binding.enforces(mode));
        let gate = Gate::new(enforcing.iter().map(|(_, binding)| binding.name().to_owned()));
        let enforcing = join_all(enforcing.into_iter().map(|(place, binding)| async move {
            let follower = follower(&binding, frame, stage).await;
            (place, binding, follower)
        }))
        .await;
        let withheld = stage == Stage::Reasoning && mode == Mode::Enforcing && enforcing.is_empty();
        let (pieces, released, blocked) = (Vec::new(), String::new(), false);
        let mut lane = Self { stage, mode, gate, enforcing, observing, pieces, released, blocked, withheld };
        lane.settle();
        lane
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> usize {
        self.gate.text().len()
    }

    /// Whether the text must not go on.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Takes more text, and gives what may be sent now.
    pub(crate) async fn push(&mut self, text: &str) -> Option<Cleared> {
        self.gate.receive(text);
        // An answer has far fewer bytes.
        self.pieces.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        for (index, (_, binding, follower)) in self.enforcing.iter_mut().enumerate() {
            let Follower::Reviewing(review) = follower else { continue };
            match review.push(text).await {
                Ok(progress) => {
                    self.blocked |= progress.blocked.is_some();
                    self.gate.progress(index, progress.cleared, progress.edits);
                }
                Err(error) => {
                    let micros = micros(review);
                    *follower = Follower::Failed(report(binding, &error), micros);
                }
            }
        }
        self.settle();
        self.release()
    }

    /// Ends the stage. `complete`: whether the text is all there is, so that what is held may yet be sent.
    pub(crate) async fn finish(mut self, frame: &SubjectFrame, complete: bool) -> Finished {
        let text = self.gate.text().to_owned();
        let mut answers = Vec::with_capacity(self.enforcing.len() + self.observing.len());
        let mut failed = Vec::new();
        for (place, binding, follower) in std::mem::take(&mut self.enforcing) {
            let followed = !matches!(follower, Follower::Waiting);
            let answer = conclude(binding, follower, frame, self.stage, &text).await;
            if followed && answer.result.is_err() {
                failed.extend(u32::try_from(place));
            }
            answers.push((place, answer));
        }
        let pieces = std::mem::take(&mut self.pieces);
        for (index, (_, answer)) in answers.iter().enumerate() {
            match &answer.result {
                Ok(Verdict { decision: Decision::Redact(edits), .. }) => self.gate.conclude(index, edits.clone()),
                Ok(_) => self.gate.conclude(index, Vec::new()),
                Err(_) if answer.binding.on_error == OnError::Allow => self.gate.leave(index),
                Err(_) => {}
            }
        }
        let (places, observing): (Vec<_>, Vec<_>) = std::mem::take(&mut self.observing).into_iter().unzip();
        answers.extend(places.into_iter().zip(evaluate_all(observing, frame, self.stage, &text).await));
        answers.sort_by_key(|(place, _)| *place);
        let answers = answers.into_iter().map(|(_, answer)| answer).collect();
        let judgement = Judgement { stage: self.stage, mode: self.mode, answers };
        let judged = self.gate.judged();
        let rest = if complete && !judgement.blocks() && !self.blocked { self.release() } else { None };
        Finished {
            coverage: Coverage {
                received: text.len() as u64,
                judged: judged as u64,
                released: Some(self.gate.released() as u64),
                unjudged: 0,
            },
            streamed: (!failed.is_empty()).then_some(Streamed { pieces, verdicts: failed }),
            edits: self.gate.merged().to_vec(),
            released: self.released,
            judgement,
            rest,
            text,
        }
    }

    /// Nothing is sent once the text is blocked, not even what the blocking answer clears.
    fn release(&mut self) -> Option<Cleared> {
        if self.blocked || self.withheld {
            return None;
        }
        let cleared = self.gate.release()?;
        self.released.push_str(cleared.as_str());
        Some(cleared)
    }

    /// A policy that failed blocks, or holds nothing back any more: as its binding says.
    fn settle(&mut self) {
        for (index, (_, binding, follower)) in self.enforcing.iter().enumerate() {
            if let Follower::Failed(..) = follower {
                match binding.on_error {
                    OnError::Block => self.blocked = true,
                    OnError::Allow => self.gate.leave(index),
                }
            }
        }
    }
}

async fn follower(binding: &Arc<BoundBinding>, frame: &SubjectFrame, stage: Stage) -> Follower {
    if binding.release == Release::Whole || !binding.policy.streams() {
        return Follower::Waiting;
    }
    match binding.policy.review(&frame.subject_for(binding, stage, "")).await {
        Ok(review) => Follower::Reviewing(Box::new(review)),
        Err(error) => Follower::Failed(report(binding, &error), 0),
    }
}

async fn conclude(
    binding: Arc<BoundBinding>,
    follower: Follower,
    frame: &SubjectFrame,
    stage: Stage,
    text: &str,
) -> Answer {
    match follower {
        Follower::Reviewing(mut review) => {
            let result = review.finish().await.map_err(|error| report(&binding, &error));
            Answer { result, micros: micros(&review), binding }
        }
        Follower::Waiting => {
            let evaluation = binding.policy.evaluate(&frame.subject_for(&binding, stage, text)).await;
            Answer::new(binding, evaluation)
        }
        Follower::Failed(error, micros) => Answer { result: Err(error), micros, binding },
    }
}

fn micros(review: &Review) -> u64 {
    u64::try_from(review.elapsed().as_micros()).unwrap_or(u64::MAX)
}
