//! The messages of a session.

use axum::Json as Answer;
use axum::extract::State;
use gavel_log::judged::Role;
use gavel_store::{Agent, FileId, MessageId, MessagePosition, Session, SessionId, StoredMessage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::cursor;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::clock::rfc3339_ms;
use crate::schema;
use crate::vault::SessionKey;

/// What a list of messages takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// The session; the current one without it.
    #[param(value_type = Option<schema::SessionId>)]
    session_id: Option<String>,
    /// Most elements of the page; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The page before this one's `next_cursor`.
    cursor: Option<String>,
}

/// A page of messages, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "messages": [{
        "message_id": "msg_01k6zv3mfe5x8q2r7t9w4y6b0n", "session_id": "ses_01k6zv3mfe5x8q2r7t9w4y6b0n",
        "role": "user", "content": "Write to [redacted:email].", "created_at": "2026-01-31T12:00:00.000Z",
        "finish_reason": null,
        "leaf_hashes": ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    }],
    "next_cursor": null,
})))]
pub(super) struct MessageList {
    messages: Vec<MessageView>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A message, with the text that passed.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
struct MessageView {
    #[schema(value_type = schema::MessageId)]
    message_id: MessageId,
    #[schema(value_type = schema::SessionId)]
    session_id: SessionId,
    #[schema(value_type = schema::Role)]
    role: Role,
    /// Redacted where it was redacted, empty where it was blocked.
    content: String,
    #[schema(value_type = schema::Time)]
    created_at: String,
    /// How an answer ended; null for a message of the user's.
    #[schema(required)]
    finish_reason: Option<String>,
    /// Every governance result on the message.
    #[schema(value_type = Vec<schema::LeafHash>)]
    leaf_hashes: Vec<String>,
    /// The files that came with it, where any did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<schema::FileId>)]
    files: Vec<FileId>,
}

/// List the messages of a session, oldest first.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/messages",
    tag = "Messages",
    operation_id = "list_messages",
    params(("id" = schema::AgentId, Path, description = "The agent's id."), ListParams),
    responses((status = 200, description = "A page of messages.", body = MessageList)),
)]
pub(super) async fn list(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Params(params): Params<ListParams>,
) -> Result<Answer<MessageList>, Problem> {
    let limit = cursor::limit(params.limit)?;
    let after = cursor::after::<MessagePosition>(params.cursor.as_deref())?;
    let Some(session) = session(&app, &agent, params.session_id.as_deref())? else {
        return Ok(Answer(MessageList { messages: Vec::new(), next_cursor: None }));
    };
    let key = app.vault.session_key(&agent.id, &agent.wrapped_data_key, &session.id, &session.wrapped_key)?;
    let messages = app.store.messages(&session.id, after, limit + 1)?;
    let (messages, next_cursor) = cursor::page(messages, limit, StoredMessage::position);
    let messages = messages.into_iter().map(|message| shown(message, &key)).collect::<Result<_, _>>()?;
    Ok(Answer(MessageList { messages, next_cursor }))
}

/// What became of a session's messages.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"cleared": 4})))]
pub(super) struct Cleared {
    /// Messages that the session's history had.
    cleared: u64,
}

/// Delete the messages of the current session.
///
/// The session goes on with a new key. What was said before can be opened by nobody any more, and its proofs stay valid.
#[utoipa::path(
    delete,
    path = "/v1/agents/{id}/messages",
    tag = "Messages",
    operation_id = "clear_messages",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    responses((status = 200, description = "How many there were.", body = Cleared)),
)]
pub(super) async fn clear(State(app): State<App>, TheAgent(agent): TheAgent) -> Result<Answer<Cleared>, Problem> {
    Ok(Answer(Cleared { cleared: app.agents.clear(&agent.id).await? }))
}

/// The session asked for, or the current one; none before the first start.
fn session(app: &App, agent: &Agent, asked: Option<&str>) -> Result<Option<Session>, Problem> {
    let id = match asked {
        None => match agent.session {
            None => return Ok(None),
            Some(current) => current,
        },
        Some(asked) => asked.parse().map_err(|_| {
            let detail = "is no session's id".to_owned();
            Problem::invalid(vec![FieldError { pointer: "/session_id".to_owned(), detail }])
        })?,
    };
    let session = app.store.session(&id)?.filter(|session| session.agent_id == agent.id);
    session.map(Some).ok_or_else(Problem::not_found)
}

fn shown(message: StoredMessage, key: &SessionKey) -> Result<MessageView, Problem> {
    let content = if message.content.is_empty() {
        String::new()
    } else {
        let text = key.open(message.id.to_string().as_bytes(), &message.content)?;
        String::from_utf8(text.to_vec()).map_err(|_| Problem::new(Code::Internal, "a stored text is damaged"))?
    };
    let (content, files) = match message.attached {
        None => (content, Vec::new()),
        Some(attached) => (own_text(content, attached.own_bytes), attached.files),
    };
    Ok(MessageView {
        message_id: message.id,
        session_id: message.session,
        role: message.role,
        content,
        created_at: rfc3339_ms(message.created_at),
        finish_reason: message.finish_reason,
        leaf_hashes: message.leaf_hashes.iter().map(gavel_log::Hash::tagged).collect(),
        files,
    })
}

/// What a message says itself: its files' texts stand behind it.
fn own_text(mut content: String, bytes: u64) -> String {
    let end = usize::try_from(bytes).unwrap_or(usize::MAX).min(content.len());
    if content.is_char_boundary(end) {
        content.truncate(end);
    }
    content
}
