//! Where a turn's time goes: one event for each turn at the level `debug`, without any text.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::frame::FinishReason;

/// A point that a turn passes, in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// It has its bindings, its provider and its permits.
    Begun,
    /// The conversation has been read, and judged where need be.
    Prompted,
    /// The input has been judged.
    Judged,
    /// The input's verdict is durable.
    InputSealed,
    /// The provider's first delta has come.
    FirstDelta,
    /// The first cleared text has been handed to the client's socket.
    FirstChunk,
    /// The provider is done.
    LastDelta,
    /// The output has been judged.
    OutputJudged,
    /// The output's verdict is durable.
    OutputSealed,
}

/// Points in the order in which a turn passes them.
const POINTS: usize = Point::OutputSealed as usize + 1;

/// The times at which a turn passed its points, from its beginning.
#[derive(Debug)]
pub(super) struct Timing {
    started: Instant,
    passed: [OnceLock<Duration>; POINTS],
}

impl Timing {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), passed: [const { OnceLock::new() }; POINTS] }
    }

    /// Notes that the turn passes a point. Only the first time counts.
    pub(super) fn pass(&self, point: Point) {
        if let Some(at) = self.passed.get(point as usize) {
            let _ = at.set(self.started.elapsed());
        }
    }

    /// When it passed a point, from its beginning; none if it did not.
    pub(super) fn at(&self, point: Point) -> Option<Duration> {
        self.passed.get(point as usize)?.get().copied()
    }

    /// Since its beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says the times in microseconds; points that were not passed are left out.
    pub(super) fn report(&self, reason: FinishReason) {
        let at = |point: Point| self.at(point).map(|at| u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
        tracing::debug!(
            target: "gavel::turn::timing",
            finish_reason = reason.as_str(),
            begun = at(Point::Begun),
            prompted = at(Point::Prompted),
            judged = at(Point::Judged),
            input_sealed = at(Point::InputSealed),
            first_delta = at(Point::FirstDelta),
            first_chunk = at(Point::FirstChunk),
            last_delta = at(Point::LastDelta),
            output_judged = at(Point::OutputJudged),
            output_sealed = at(Point::OutputSealed),
            ended = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "turn",
        );
    }
}
