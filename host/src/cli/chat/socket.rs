//! The socket of a chat. It is opened by the HTTP client, so that TLS is that of every other request, and a refusal is
//! read as the problem that it is.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Response, StatusCode, Upgraded};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};
use url::Url;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may be silent: longer than it asks whether anyone is there, and than a provider may take.
const SILENCE: Duration = Duration::from_secs(600);
/// How long the farewell may take.
const CLOSE: Duration = Duration::from_secs(2);

/// Why a chat ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChatError {
    /// The server does not let us in; its words.
    #[error("{0}")]
    Refused(String),
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The socket ended.
    #[error("the chat broke off: {0}")]
    Broken(String),
    /// Standard input or output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<tungstenite::Error> for ChatError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A chat that is open.
pub(super) struct Socket(WebSocketStream<Upgraded>);

impl Socket {
    pub(super) async fn open(url: &Url, agent: &str, token: &SecretString) -> Result<Self, ChatError> {
        let unreachable = |error: reqwest::Error| ChatError::Unreachable(innermost(&error));
        // One connection for the socket: it cannot be upgraded in HTTP/2.
        let http = reqwest::Client::builder().connect_timeout(CONNECT).http1_only().build().map_err(unreachable)?;
        let mut address = url.clone();
        address
            .path_segments_mut()
            .map_err(|()| ChatError::Unreachable(format!("{url} is no address of a server")))?
            .pop_if_empty()
            .extend(["v1", "agents", agent, "chat"]);
        let key = generate_key();
        let asked = http
            .get(address)
            .bearer_auth(token.expose_secret())
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .send();
        let answer = tokio::time::timeout(CONNECT, asked).await;
        let answer =
            answer.map_err(|_| ChatError::Unreachable("no answer in time".to_owned()))?.map_err(unreachable)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ChatError::Refused(problem(answer).await));
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(ChatError::Unreachable("it answered as no WebSocket does".to_owned()));
        }
        let upgraded = answer.upgrade().await.map_err(unreachable)?;
        Ok(Self(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await))
    }

    pub(super) async fn say(&mut self, content: &str) -> Result<(), ChatError> {
        let message = json!({"type": "message", "content": content});
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> Result<Value, ChatError> {
        loop {
            let next = tokio::time::timeout(SILENCE, self.0.next()).await;
            let next = next.map_err(|_| ChatError::Broken("the server says nothing any more".to_owned()))?;
            match next.ok_or_else(|| ChatError::Broken("the connection ended".to_owned()))?? {
                Message::Text(text) => {
                    return serde_json::from_str(&text).map_err(|error| ChatError::Broken(error.to_string()));
                }
                Message::Close(Some(close)) => {
                    return Err(ChatError::Broken(format!("closed with {}: {}", close.code, close.reason)));
                }
                Message::Close(None) => return Err(ChatError::Broken("closed".to_owned())),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye; what comes of it no longer matters.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE, self.0.close(None)).await;
    }
}

/// The words of a problem (RFC 9457), or at least the status.
async fn problem(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    match (member("detail").or_else(|| member("title")), member("code")) {
        (Some(words), Some(code)) => format!("{words} ({code})"),
        (Some(words), None) => words.to_owned(),
        _ => format!("the server answered {status}"),
    }
}

/// The words of the cause behind an HTTP client's error: the outer ones only repeat the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
