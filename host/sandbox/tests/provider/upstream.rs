//! An upstream in this process: what it does is the first segment of the path, what it saw can be asked.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

pub(crate) const HELLO: &str = concat!(
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n",
    "data: [DONE]\n\n",
);
const BEGUN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<(HeaderMap, Bytes)>>,
    hits: AtomicUsize,
    peers: Mutex<HashSet<SocketAddr>>,
    pieces: watch::Sender<usize>,
    closed: Notify,
    cut: Notify,
}

/// Tells when a response's body is dropped: its connection is gone, or it was sent whole.
struct Guard(Arc<Seen>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.closed.notify_one();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let router = Router::new().route("/{script}/{*rest}", any(answer)).with_state(seen.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, seen }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn base_url(&self, script: &str) -> String {
        format!("{}/{script}/v1", self.origin())
    }

    /// The last request's headers and body.
    pub(crate) fn last(&self) -> (HeaderMap, String) {
        let requests = self.seen.requests.lock().unwrap();
        let (headers, body) = requests.last().expect("a request came");
        (headers.clone(), String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) fn hits(&self) -> usize {
        self.seen.hits.load(Ordering::SeqCst)
    }

    /// How many connections requests came over.
    pub(crate) fn connections(&self) -> usize {
        self.seen.peers.lock().unwrap().len()
    }

    /// Breaks the response `cut` off.
    pub(crate) fn cut(&self) {
        self.seen.cut.notify_one();
    }

    /// Waits until a response's body has been dropped.
    pub(crate) async fn closed(&self) {
        timeout(Duration::from_secs(10), self.seen.closed.notified()).await.expect("the response is dropped");
    }

    /// Waits until an endless response has stood still for a while; the pieces that it gave by then.
    pub(crate) async fn stands_still(&self) -> usize {
        let mut pieces = self.seen.pieces.subscribe();
        while timeout(Duration::from_millis(500), pieces.changed()).await.is_ok() {}
        *pieces.borrow()
    }

    /// Waits until an endless response has given more pieces than this.
    pub(crate) async fn goes_on(&self, after: usize) {
        let mut pieces = self.seen.pieces.subscribe();
        let more = pieces.wait_for(|pieces| *pieces > after);
        timeout(Duration::from_secs(10), more).await.expect("the response goes on").unwrap();
    }
}

async fn answer(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((script, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    seen.peers.lock().unwrap().insert(peer);
    let hit = seen.hits.fetch_add(1, Ordering::SeqCst);
    seen.requests.lock().unwrap().push((headers.clone(), body));
    let guard = Guard(seen.clone());
    match script.as_str() {
        "unauthorized" => refusal(StatusCode::UNAUTHORIZED, &[]),
        "limited" => refusal(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "7")]),
        "briefly-limited" if hit == 0 => refusal(StatusCode::TOO_MANY_REQUESTS, &[("retry-after-ms", "20")]),
        "unknown-model" => refusal(StatusCode::NOT_FOUND, &[]),
        "broken" => refusal(StatusCode::INTERNAL_SERVER_ERROR, &[]),
        "flaky" if hit < 2 => refusal(StatusCode::SERVICE_UNAVAILABLE, &[]),
        "hello" | "briefly-limited" | "flaky" => events(guard, once(HELLO)),
        "cut" => events(guard, once(BEGUN).chain(stream::once(cut(seen)))),
        "unfinished" => events(guard, once(BEGUN)),
        "stall" => events(guard, once(BEGUN).chain(stream::pending())),
        "silent" => std::future::pending().await,
        "rubbish" => events(guard, once("data: <html>\n\n")),
        "redirect" => (StatusCode::FOUND, [(header::LOCATION, "/hello/v1/chat/completions")]).into_response(),
        "endless" => endless(guard, seen),
        "models" => r#"{"data":[{"id":"a"},{"id":"b","max_model_len":8192}]}"#.into_response(),
        "echo" => {
            let echoed = headers.get(header::AUTHORIZATION).cloned();
            (echoed.map(|value| [("x-echo", value)]), "ok").into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Breaks the response off when the test says so: what was sent before has arrived by then.
async fn cut(seen: Arc<Seen>) -> Result<Bytes, std::io::Error> {
    seen.cut.notified().await;
    Err(std::io::Error::other("cut"))
}

fn refusal(status: StatusCode, headers: &[(&'static str, &'static str)]) -> Response {
    let mut response = (status, r#"{"error":{"message":"the upstream's words"}}"#).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

fn once(text: &'static str) -> Pieces {
    Box::pin(stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) }))
}

fn events(guard: Guard, pieces: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> Response {
    let guarded = pieces.map(move |piece| {
        let _held = &guard;
        piece
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(guarded)).into_response()
}

fn endless(guard: Guard, seen: Arc<Seen>) -> Response {
    let text = "x".repeat(16 << 10);
    let event =
        Bytes::from(format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"));
    let pieces = stream::repeat_with(move || {
        seen.pieces.send_modify(|pieces| *pieces += 1);
        Ok::<_, Infallible>(event.clone())
    });
    events(guard, pieces.map(|piece| piece.map_err(|never| match never {})))
}
