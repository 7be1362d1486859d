//! The messages of a session.

use axum::Json as Answer;
use axum::extract::State;
use gavel_log::judged::Role;
use gavel_store::{Agent, MessageId, MessagePosition, Session, SessionId, StoredMessage};
use serde::{Deserialize, Serialize};

use super::App;
use super::cursor;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::{Code, Problem};
use crate::agent::FieldError;
use crate::clock::rfc3339_ms;
use crate::vault::SessionKey;

/// What a list of messages takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    session_id: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of messages, oldest first.
#[derive(Serialize)]
pub(super) struct MessageList {
    messages: Vec<MessageView>,
    next_cursor: Option<String>,
}

/// A message, with the text that passed.
#[derive(Serialize)]
struct MessageView {
    message_id: MessageId,
    session_id: SessionId,
    role: Role,
    content: String,
    created_at: String,
    finish_reason: Option<String>,
    leaf_hashes: Vec<String>,
}

/// `GET /v1/agents/{id}/messages`
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
    Ok(MessageView {
        message_id: message.id,
        session_id: message.session,
        role: message.role,
        content,
        created_at: rfc3339_ms(message.created_at),
        finish_reason: message.finish_reason,
        leaf_hashes: message.leaf_hashes.iter().map(gavel_log::Hash::tagged).collect(),
    })
}
