//! A chat over a real WebSocket.

use std::net::SocketAddr;

use axum::http::HeaderMap;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{Answer, Turn, message_id, within};

/// The code that stands for a connection that broke without a close frame (RFC 6455 §7.4.1).
const ABNORMAL: u16 = 1006;

/// An open socket.
pub struct Chat {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The headers of the answer that opened it.
    pub headers: HeaderMap,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame of the chat.
    Frame(Value),
    /// The socket's end, with its close code; 1006 where the connection broke.
    Closed(u16),
}

impl Chat {
    pub(crate) async fn open(
        addr: SocketAddr,
        path: &str,
        headers: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, Answer> {
        let request = upgrade(addr, path, headers);
        match within("an open chat", connect_async(request)).await {
            Ok((socket, response)) => Ok(Self { socket, headers: response.headers().clone() }),
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let bytes = body.unwrap_or_default();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                Err(Answer { status: head.status.as_u16(), headers: head.headers, bytes, body })
            }
            Err(error) => panic!("the chat cannot be opened: {error}"),
        }
    }

    /// Says something and hears the whole turn.
    ///
    /// # Panics
    /// When the turn does not end in time.
    pub async fn say(&mut self, content: &str) -> Turn {
        let id = self.start_saying(content).await;
        self.turn(&id).await
    }

    /// Says something under a new id, and does not wait for the answer.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn start_saying(&mut self, content: &str) -> String {
        let id = message_id();
        self.say_as(&id, content).await;
        id
    }

    /// Says something under this id, and does not wait for the answer.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn say_as(&mut self, id: &str, content: &str) {
        self.send(json!({"type": "message", "message_id": id, "content": content})).await;
    }

    /// Says something with files, and hears the whole turn.
    ///
    /// # Panics
    /// When the turn does not end in time.
    pub async fn say_with(&mut self, content: &str, files: &[&Value]) -> Turn {
        let id = message_id();
        let files: Vec<&Value> = files.iter().map(|file| &file["file_id"]).collect();
        self.send(json!({"type": "message", "message_id": id, "content": content, "files": files})).await;
        self.turn(&id).await
    }

    /// Asks for a turn's frames from the start.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn resume(&mut self, id: &str) {
        self.send(json!({"type": "resume", "message_id": id})).await;
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    /// Sends anything that a WebSocket can carry.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_raw(&mut self, message: Message) {
        within("a sent frame", self.socket.send(message)).await.expect("the socket is open");
    }

    /// Sends a frame if the server still takes one; says whether it did.
    pub async fn try_send(&mut self, frame: Value) -> bool {
        within("a sent frame", self.socket.send(Message::text(frame.to_string()))).await.is_ok()
    }

    /// The next thing that the server says.
    ///
    /// # Panics
    /// When it says nothing in time, or something that is no frame of a chat.
    pub async fn hear(&mut self) -> Heard {
        loop {
            return match within("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    Heard::Frame(serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
                }
                Some(Ok(Message::Close(close))) => Heard::Closed(close.map_or(1005, |close| close.code.into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(other)) => panic!("no frame of a chat: {other:?}"),
                Some(Err(_)) | None => Heard::Closed(ABNORMAL),
            };
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// When the socket is closed instead.
    pub async fn next_frame(&mut self) -> Value {
        match self.hear().await {
            Heard::Frame(frame) => frame,
            Heard::Closed(code) => panic!("the socket is closed with {code}"),
        }
    }

    /// The frames up to the first one of this type, which is the last of them.
    ///
    /// # Panics
    /// When the socket is closed before.
    pub async fn frames_until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next_frame().await;
            let last = frame["type"] == kind;
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// The frames of this message's turn: to its `stream_end`, or to the error that refuses it.
    ///
    /// # Panics
    /// When the socket is closed before.
    pub async fn turn(&mut self, message_id: &str) -> Turn {
        self.rest_of_turn(message_id, Vec::new()).await
    }

    /// The same for a turn whose first frames were heard already.
    ///
    /// # Panics
    /// When the socket is closed before.
    pub async fn rest_of_turn(&mut self, message_id: &str, mut frames: Vec<Value>) -> Turn {
        loop {
            let frame = self.next_frame().await;
            let refused = frame["type"] == "error" && frame["message_id"] == message_id;
            let over = refused || frame["type"] == "stream_end";
            frames.push(frame);
            if over {
                return Turn::of(message_id, frames);
            }
        }
    }

    /// Checks that the socket is open and the server listens: a ping is the next thing that is answered.
    ///
    /// # Panics
    /// When it is not.
    pub async fn is_open(&mut self) {
        self.send(json!({"type": "ping"})).await;
        assert_eq!(self.next_frame().await, json!({"type": "pong"}));
    }

    /// The code with which the server closes the socket, and the frames before that.
    ///
    /// # Panics
    /// When it stays open.
    pub async fn closed(&mut self) -> (u16, Vec<Value>) {
        let mut frames = Vec::new();
        loop {
            match self.hear().await {
                Heard::Frame(frame) => frames.push(frame),
                Heard::Closed(code) => return (code, frames),
            }
        }
    }

    /// Is gone without a word, as when a network fails.
    pub fn vanish(self) {
        drop(self.socket);
    }
}

fn upgrade(addr: SocketAddr, path: &str, more: impl IntoIterator<Item = (&'static str, String)>) -> Request<()> {
    let mut request = format!("ws://{addr}{path}").into_client_request().expect("a chat has a URL");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-key", HeaderValue::from_str(&generate_key()).expect("a key is ASCII"));
    for (name, value) in more {
        headers.insert(name, HeaderValue::from_str(&value).expect("a token is ASCII"));
    }
    request
}
