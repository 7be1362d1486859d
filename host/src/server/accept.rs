//! Accepts connections and serves HTTP/1.1 on them, with the deadlines that a library's default has not.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::Peer;
use crate::tasks::Tasks;

/// Most connections at once; further ones wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// How long a connection may take to send a request's head, also between two requests.
const HEAD_DEADLINE: Duration = Duration::from_secs(60);
/// A pause after an error of the operating system, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on every connection until `until` is set; connections then end after the request under way.
pub(super) async fn accept(listener: TcpListener, router: Router, tasks: Tasks, until: CancellationToken) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some((stream, peer, permit)) = next(&listener, &connections, &until).await {
        let connection = serve(stream, peer, router.clone(), until.clone(), tasks.closing().clone());
        tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
}

async fn next(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    until: &CancellationToken,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (accepted, permit) = tokio::select! {
            () = until.cancelled() => return None,
            accepted = accepted => accepted?,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, Peer(peer.ip()), permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: Peer, router: Router, until: CancellationToken, closing: CancellationToken) {
    // A chat's small frames must not wait for one another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection has no TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
