//! Turns WebAssembly into machine code, and finds code that was made before.

use std::sync::Arc;
use std::time::Instant;

use gavel_log::Hash;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::CodeCache;

/// How far the compiler's threads stand back (`nice`): a plugin that is installed must not slow the chats. Beside a busy
/// worker they get a quarter of a core, and otherwise all that no worker wants.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Compiles for one engine, on threads of its own: compiling takes half a second, or six.
pub(crate) struct Compiler {
    engine: Engine,
    threads: ThreadPool,
    cache: Option<Arc<CodeCache>>,
}

impl Compiler {
    /// A compiler that keeps what it makes in `cache`.
    pub(crate) fn new(engine: &Engine, cache: Option<Arc<CodeCache>>) -> wasmtime::Result<Self> {
        let threads = ThreadPoolBuilder::new()
            .thread_name(|number| format!("compiler-{number}"))
            .start_handler(|_| stand_back())
            .build()
            .map_err(|error| wasmtime::format_err!("the compiler's threads: {error}"))?;
        Ok(Self { engine: engine.clone(), threads, cache })
    }

    /// The code that is kept under `name`; else what `source` gives, compiled and kept. `source` runs on the compiler's
    /// threads, and a panic in it is an error here.
    pub(crate) async fn compile<S>(&self, name: Hash, source: S) -> wasmtime::Result<Component>
    where
        S: FnOnce(&Engine) -> wasmtime::Result<Arc<[u8]>> + Send + 'static,
    {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        self.run(move || {
            if let Some(component) = cache.as_ref().and_then(|cache| cache.load(&engine, name)) {
                return Ok(component);
            }
            let started = Instant::now();
            let component = Component::from_binary(&engine, &source(&engine)?)?;
            tracing::info!(ms = started.elapsed().as_millis(), bytes = code_bytes(&component), "compiled a plugin");
            if let Some(cache) = cache {
                cache.store(&engine, name, &component);
            }
            Ok(component)
        })
        .await?
    }

    /// Runs `job` on the compiler's threads. Nobody joins them, so the end of a server waits for no compilation.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> wasmtime::Result<T> {
        let (done, result) = oneshot::channel();
        self.threads.spawn(move || {
            // Whoever waits learns of a panic by the sender's end. What the job holds is not used again.
            if let Ok(value) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)) {
                let _ = done.send(value);
            }
        });
        result.await.map_err(|_| wasmtime::format_err!("the compiler failed"))
    }
}

/// Bytes of a component's machine code, with the data that it starts from.
pub(crate) fn code_bytes(component: &Component) -> usize {
    let image = component.image_range();
    image.end.addr().saturating_sub(image.start.addr())
}

/// On Linux a thread's own. Where it is not to be had, compiling competes with the chats more, and no worse.
fn stand_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_what_was_asked_for_and_nothing_else() {
        let compiler = Compiler::new(&Engine::default(), None).unwrap();
        let panicking = compiler.compile(Hash::ZERO, |_| panic!("as a snapshotter may")).await;
        assert_eq!(panicking.err().unwrap().to_string(), "the compiler failed");
        let empty: Arc<[u8]> = b"\0asm\x0d\0\x01\0".as_slice().into();
        compiler.compile(Hash::ZERO, move |_| Ok(empty)).await.unwrap();
    }
}
