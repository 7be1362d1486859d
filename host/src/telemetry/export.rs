//! Spans on their way to the collector: a bounded queue, and one task that sends them in batches.
//!
//! Whoever ends a span never waits. When the collector is slow or away, spans are dropped and counted, and the log says
//! so now and then.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::metrics::SpanCounters;

/// Spans that may wait; a turn has some seven.
const WAITING: usize = 8192;
/// Most spans of one batch.
const BATCH: usize = 512;
/// How long a batch that is not full waits for more.
const GATHERING: Duration = Duration::from_secs(1);
/// Longest time for one batch, the exporter's own retries included.
const SEND_DEADLINE: Duration = Duration::from_secs(15);
/// Longest time for the last batches when the server goes down.
const FINISH_DEADLINE: Duration = Duration::from_secs(3);
/// How often the log says that spans are lost.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Where spans go when they end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<SpanData>,
    counters: SpanCounters,
}

/// The task that sends them.
pub(super) struct Export {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Queue {
    /// A queue, and the task that empties it. To be called inside a tokio runtime.
    pub(super) fn start<E: SpanExporter + 'static>(exporter: E, counters: SpanCounters) -> (Self, Export) {
        let (spans, waiting) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let sender = Sending { exporter, counters: counters.clone(), complained: None };
        let task = tokio::spawn(sender.run(waiting, stopped));
        (Self { spans, counters }, Export { stop, task })
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.counters.dropped(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export {
    /// Sends what is waiting, and ends.
    pub(super) async fn finish(mut self) {
        // It fails only if the task has ended.
        let _ = self.stop.send(());
        if timeout(FINISH_DEADLINE, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the collector did not take the last traces in time");
        }
    }
}

struct Sending<E> {
    exporter: E,
    counters: SpanCounters,
    complained: Option<Instant>,
}

impl<E: SpanExporter> Sending<E> {
    async fn run(mut self, mut waiting: Receiver<SpanData>, mut stopped: oneshot::Receiver<()>) {
        loop {
            let mut batch = Vec::new();
            let more = tokio::select! {
                more = gather(&mut waiting, &mut batch) => more,
                _ = &mut stopped => false,
            };
            if !more {
                break self.send(batch).await;
            }
            self.send(batch).await;
        }
        loop {
            let rest: Vec<_> = std::iter::from_fn(|| waiting.try_recv().ok()).take(BATCH).collect();
            if rest.is_empty() {
                return;
            }
            self.send(rest).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len();
        if spans == 0 {
            return;
        }
        match timeout(SEND_DEADLINE, self.exporter.export(batch)).await {
            Ok(Ok(())) => self.counters.sent(spans),
            Ok(Err(error)) => self.lost(spans, &error),
            Err(late) => self.lost(spans, &late),
        }
    }

    fn lost(&mut self, spans: usize, error: &dyn std::error::Error) {
        self.counters.dropped(spans);
        if self.complained.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(%error, spans, "traces cannot be sent: they are dropped until the collector takes them");
        }
    }
}

/// Waits for a first span, and a moment for more. False when there will be none. What was taken stays in `batch` if this is dropped.
async fn gather(waiting: &mut Receiver<SpanData>, batch: &mut Vec<SpanData>) -> bool {
    match waiting.recv().await {
        Some(first) => batch.push(first),
        None => return false,
    }
    let more = async {
        while batch.len() < BATCH
            && let Some(span) = waiting.recv().await
        {
            batch.push(span);
        }
    };
    // Late is as good as full.
    let _ = timeout(GATHERING, more).await;
    true
}
