//! The engine's clock: each tick makes a long-running guest yield, so that none holds a worker thread.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// How long a guest runs before it yields.
const TICK: Duration = Duration::from_millis(2);

/// Ticks until it is dropped.
pub(crate) struct Ticker {
    _stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Self {
        let engine = engine.weak();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        });
        Self { _stop: stop, thread }
    }

    pub(crate) fn is_ticking(&self) -> bool {
        !self.thread.is_finished()
    }
}
