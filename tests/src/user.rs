//! Someone who uses the API. Its verbs are the API's.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{Answer, Chat, within};

/// A caller: a token, or none, and where the server is.
#[derive(Clone)]
pub struct User {
    http: reqwest::Client,
    addr: SocketAddr,
    token: Option<String>,
}

/// An agent as it was made.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// The answer to its making.
    pub made: Value,
}

impl Agent {
    /// A path under the agent's own.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/agents/{}{rest}", self.id)
    }
}

impl User {
    /// Someone who talks with the server at this address, with this token or none.
    #[must_use]
    pub fn new(addr: SocketAddr, token: Option<String>) -> Self {
        // Without proxies: whatever the environment says, the server is here.
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { http, addr, token }
    }

    /// The server's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The token that is shown, if any.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Makes an agent exactly as wished.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create_agent(&self, wish: Value) -> Agent {
        let made = self.post("/v1/agents", &wish).await.expect(201);
        Agent { id: made["agent_id"].as_str().unwrap_or_default().to_owned(), made }
    }

    /// Makes an agent on the mock provider, unless the wish names another, and starts it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn starts(&self, wish: Value) -> Agent {
        let mut whole = Map::from_iter([("model_provider".to_owned(), json!("mock"))]);
        whole.extend(wish.as_object().cloned().unwrap_or_default());
        let agent = self.create_agent(Value::Object(whole)).await;
        self.start(&agent).await;
        agent
    }

    /// Starts an agent.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn start(&self, agent: &Agent) -> Value {
        self.post(&agent.path("/start"), &json!({})).await.expect(200)
    }

    /// Stops an agent.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn stop(&self, agent: &Agent) -> Value {
        self.post(&agent.path("/stop"), &json!({})).await.expect(200)
    }

    /// The agent as it stands.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn agent(&self, agent: &Agent) -> Value {
        self.get(&agent.path("")).await.expect(200)
    }

    /// Gives an agent an API key with these scopes: what is answered, `raw_key` included, and whoever holds it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn gives_key(&self, agent: &Agent, scopes: &[&str]) -> (Value, Self) {
        let wish = json!({"name": "ci", "scopes": scopes});
        let key = self.post(&agent.path("/api-keys"), &wish).await.expect(201);
        let token = key["raw_key"].as_str().map(str::to_owned);
        (key, Self { token, ..self.clone() })
    }

    /// Opens a chat.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn chat(&self, agent: &Agent) -> Chat {
        match self.try_chat(agent).await {
            Ok(chat) => chat,
            Err(answer) => panic!("the chat is refused: {} {}", answer.status, answer.text()),
        }
    }

    /// Opens a chat, or gives the answer that refuses it.
    ///
    /// # Errors
    /// The refusal.
    pub async fn try_chat(&self, agent: &Agent) -> Result<Chat, Answer> {
        let bearer = self.token.as_ref().map(|token| ("authorization", format!("Bearer {token}")));
        Chat::open(self.addr, &agent.path("/chat"), bearer).await
    }

    /// Opens a chat as a part of a trace (W3C Trace Context).
    ///
    /// # Errors
    /// The refusal.
    pub async fn try_chat_in_trace(&self, agent: &Agent, traceparent: &str) -> Result<Chat, Answer> {
        let bearer = format!("Bearer {}", self.token.as_deref().unwrap_or_default());
        let headers = [("authorization", bearer), ("traceparent", traceparent.to_owned())];
        Chat::open(self.addr, &agent.path("/chat"), headers).await
    }

    /// Opens a chat as browsers have to: with the token as an offered subprotocol.
    ///
    /// # Errors
    /// The refusal.
    pub async fn try_chat_from_a_browser(&self, agent: &Agent) -> Result<Chat, Answer> {
        let token = self.token.as_deref().unwrap_or_default();
        let offered = format!("gavel.chat.v1, bearer.{token}");
        Chat::open(self.addr, &agent.path("/chat"), Some(("sec-websocket-protocol", offered))).await
    }

    /// The messages of the agent's current session.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn messages(&self, agent: &Agent) -> Vec<Value> {
        let page = self.get(&agent.path("/messages?limit=200")).await.expect(200);
        assert!(page["next_cursor"].is_null(), "there are more messages than one page holds");
        page["messages"].as_array().cloned().unwrap_or_default()
    }

    /// What those messages say, each as `role: content`.
    pub async fn history(&self, agent: &Agent) -> Vec<String> {
        let said = |message: &Value| {
            format!("{}: {}", message["role"].as_str().unwrap_or("?"), message["content"].as_str().unwrap_or("?"))
        };
        self.messages(agent).await.iter().map(said).collect()
    }

    /// The proof of a leaf hash.
    pub async fn proof(&self, agent: &Agent, leaf_hash: &str) -> Answer {
        self.get(&agent.path(&format!("/proofs/{leaf_hash}"))).await
    }

    /// The record behind a leaf hash.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn record(&self, agent: &Agent, leaf_hash: &str) -> Value {
        let proof = self.proof(agent, leaf_hash).await.expect(200);
        serde_json::from_str(proof["proof"]["record"].as_str().unwrap_or_default()).expect("a record is JSON")
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of any bytes under a content type; an empty one is left out.
    pub async fn post_bytes(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.request(Method::POST, path).body(body.into());
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        self.send(request).await
    }

    /// A request of any kind, to be sent by [`send`](Self::send).
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("http://{}{path}", self.addr));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When there is no answer in time.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        within("an answer", async { Answer::of(request.send().await.expect("the server answers")).await }).await
    }
}
