//! Forms with files, written by hand: so that a story can break one wherever it wants.

use axum::http::Method;
use serde_json::Value;

use crate::{Agent, Answer, User};

/// What stands between the parts.
const BOUNDARY: &str = "a-boundary-that-no-file-holds";

/// A `multipart/form-data` body.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<u8>);

impl Form {
    /// A form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a file in the field `file`.
    #[must_use]
    pub fn file(self, name: &str, content_type: &str, bytes: &[u8]) -> Self {
        let head = format!("form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {content_type}");
        self.part(&head, bytes)
    }

    /// The same with any part: its head behind `Content-Disposition: `, and its bytes.
    #[must_use]
    pub fn part(mut self, head: &str, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n").as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// What comes before and behind the bytes of one file that is too large to be held whole.
    #[must_use]
    pub fn around(self, name: &str, content_type: &str) -> (Vec<u8>, Vec<u8>) {
        let mut head = self.file(name, content_type, b"").0;
        head.truncate(head.len() - 2);
        (head, format!("\r\n--{BOUNDARY}--\r\n").into_bytes())
    }

    /// Its content type.
    #[must_use]
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// The body, with the end that belongs to it.
    #[must_use]
    pub fn whole(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }

    /// The body as far as it is written.
    #[must_use]
    pub fn broken_off(self) -> Vec<u8> {
        self.0
    }
}

impl User {
    /// Uploads a form's files.
    pub async fn upload(&self, agent: &Agent, form: Form) -> Answer {
        self.post_bytes(&agent.path("/files"), &Form::content_type(), form.whole()).await
    }

    /// Uploads one file, and gives it as the answer shows it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn uploads(&self, agent: &Agent, name: &str, content_type: &str, bytes: &[u8]) -> Value {
        let answer = self.upload(agent, Form::new().file(name, content_type, bytes)).await;
        answer.expect(201)["files"][0].clone()
    }

    /// `GET` with these headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::GET, path);
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }
}
