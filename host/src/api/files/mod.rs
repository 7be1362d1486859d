//! An agent's files: uploaded, listed, given back, removed.

mod download;
mod form;
mod range;
mod upload;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use gavel_store::{FileId, StoredFile};
use serde::{Deserialize, Serialize};

pub(super) use download::show;
pub(super) use upload::create;

use super::App;
use super::cursor;
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::clock::rfc3339_ms;

/// A file, without its bytes.
#[derive(Serialize)]
pub(super) struct FileView {
    file_id: FileId,
    filename: String,
    content_type: String,
    size: u64,
    sha256: String,
    created_at: String,
}

impl From<StoredFile> for FileView {
    fn from(file: StoredFile) -> Self {
        Self {
            file_id: file.id,
            filename: file.name,
            content_type: file.content_type,
            size: file.size,
            sha256: file.sha256.to_string(),
            created_at: rfc3339_ms(file.created_at),
        }
    }
}

/// What a list of files takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of files, oldest first.
#[derive(Serialize)]
pub(super) struct FileList {
    files: Vec<FileView>,
    next_cursor: Option<String>,
}

/// `GET /v1/agents/{id}/files`
pub(super) async fn list(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Params(params): Params<ListParams>,
) -> Result<Answer<FileList>, Problem> {
    let limit = cursor::limit(params.limit)?;
    let after = cursor::after::<FileId>(params.cursor.as_deref())?;
    let files = app.files.list(&agent.id, after.as_ref(), limit + 1)?;
    let (files, next_cursor) = cursor::page(files, limit, |file| file.id);
    Ok(Answer(FileList { files: files.into_iter().map(FileView::from).collect(), next_cursor }))
}

/// `DELETE /v1/agents/{id}/files/{file_id}`
pub(super) async fn remove(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Path((_, file)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.files.remove(&agent, file_id(&file)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A file's id as a path names it. What is none names no file.
fn file_id(text: &str) -> Result<FileId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}
