//! A model provider that does what a test tells it to, over HTTP as `OpenAI` and Cloudflare have it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::post;
use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Script, within};

/// A request that the provider got.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path that it was sent to.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

impl Received {
    /// The conversation in it, each message as `role: content`.
    #[must_use]
    pub fn conversation(&self) -> Vec<String> {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let said = |message: &Value| {
            format!("{}: {}", message["role"].as_str().unwrap_or("?"), message["content"].as_str().unwrap_or("?"))
        };
        messages.iter().map(said).collect()
    }
}

/// The provider. It ends when it is dropped.
pub struct Upstream {
    addr: SocketAddr,
    stage: Arc<Stage>,
    serving: JoinHandle<()>,
}

struct Stage {
    next: Mutex<VecDeque<Script>>,
    standing: Mutex<Script>,
    received: Mutex<Vec<Received>>,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    received: usize,
    /// Replies that the server did not read to their end.
    hung_up: usize,
}

impl Upstream {
    /// Starts a provider on a free port. Until it is told otherwise it says `Hello there.` to everything.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let stage = Arc::new(Stage {
            next: Mutex::default(),
            standing: Mutex::new(Script::says(["Hello", " there", "."])),
            received: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound port");
        let router = Router::new()
            .route("/v1/chat/completions", post(reply))
            .route("/client/v4/accounts/{account}/ai/run/{*model}", post(reply))
            .layer(DefaultBodyLimit::disable())
            .with_state(stage.clone());
        let serving = tokio::spawn(async move {
            // It ends with its task.
            // Without delay, or the kernel holds small deltas back for 40 ms.
            let undelayed = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            let _ = axum::serve(undelayed, router).await;
        });
        Self { addr, stage, serving }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on it answers thus.
    pub fn answers(&self, script: Script) {
        *lock(&self.stage.standing) = script;
    }

    /// It will answer one request thus, after those that it was told of before.
    pub fn will(&self, script: Script) {
        lock(&self.stage.next).push_back(script);
    }

    /// It will say this, once.
    pub fn will_say<S: Into<String>>(&self, deltas: impl IntoIterator<Item = S>) {
        self.will(Script::says(deltas));
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.stage.received).clone()
    }

    /// The conversation in the newest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last_conversation(&self) -> Vec<String> {
        self.received().last().expect("the provider was called").conversation()
    }

    /// Waits until it has got so many requests.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn has_received(&self, requests: usize) {
        self.counted("a request to the provider", |counts| counts.received >= requests).await;
    }

    /// Waits until the server has left so many replies before their end.
    ///
    /// # Panics
    /// When it does not.
    pub async fn was_hung_up_on(&self, replies: usize) {
        self.counted("a hung-up provider", |counts| counts.hung_up >= replies).await;
    }

    async fn counted(&self, what: &str, enough: impl Fn(&Counts) -> bool) {
        let mut counts = self.stage.counts.subscribe();
        within(what, counts.wait_for(enough)).await.expect("the stage is there");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn reply(State(stage): State<Arc<Stage>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    lock(&stage.received).push(Received { path: uri.path().to_owned(), headers, body });
    stage.counts.send_modify(|counts| counts.received += 1);
    let script = lock(&stage.next).pop_front();
    let script = script.unwrap_or_else(|| lock(&stage.standing).clone());
    let response = script.response(move |whole| {
        if !whole {
            stage.counts.send_modify(|counts| counts.hung_up += 1);
        }
    });
    response.await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
