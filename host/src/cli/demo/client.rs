//! A client as any application's: HTTP with a bearer token, and a chat over a WebSocket.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A user with a token.
pub(super) struct Client {
    http: reqwest::Client,
    authority: String,
    token: String,
}

impl Client {
    pub(super) fn new(authority: String, token: String) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { http, authority, token })
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://{}{path}", self.authority);
        json_of(self.http.post(url).bearer_auth(&self.token).json(body).send().await?).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        json_of(self.http.get(format!("http://{}{path}", self.authority)).bearer_auth(&self.token).send().await?).await
    }

    /// A public text, such as the log's verifier key.
    pub(super) async fn text(&self, path: &str) -> Result<String> {
        let response = self.http.get(format!("http://{}{path}", self.authority)).send().await?;
        Ok(response.error_for_status()?.text().await?)
    }

    pub(super) async fn chat(&self, agent: &str) -> Result<Chat> {
        let mut request = format!("ws://{}/v1/agents/{agent}/chat", self.authority).into_client_request()?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token))?;
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = connect_async(request).await?;
        Ok(Chat(socket))
    }
}

async fn json_of(response: reqwest::Response) -> Result<Value> {
    let (status, url) = (response.status(), response.url().clone());
    let body: Value = response.json().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {body}");
    }
    Ok(body)
}

/// A chat under way.
pub(super) struct Chat(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Chat {
    pub(super) async fn say(&mut self, content: &str) -> Result<()> {
        let message = json!({ "type": "message", "content": content });
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.context("no frame came in time")?;
            match message.context("the socket was closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(close) => bail!("the server closed the socket: {close:?}"),
                _ => {}
            }
        }
    }
}
