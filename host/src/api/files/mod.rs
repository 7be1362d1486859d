//! An agent's files: uploaded, listed, given back, removed.

mod download;
mod form;
mod range;
mod upload;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use gavel_store::{FileId, StoredFile};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use download::{__path_show, show};
pub(super) use upload::{__path_create, create};

use super::App;
use super::cursor::{self, PageParams};
use super::guard::TheAgent;
use super::params::Params;
use super::problem::Problem;
use crate::clock::rfc3339_ms;
use crate::schema;

/// A file, without its bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = File)]
pub(super) struct FileView {
    #[schema(value_type = schema::FileId)]
    file_id: FileId,
    filename: String,
    content_type: String,
    /// Bytes.
    size: u64,
    #[schema(value_type = schema::HexHash)]
    sha256: String,
    #[schema(value_type = schema::Time)]
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

/// A page of files, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "files": [{
        "file_id": "file_01k6zv3mfe5x8q2r7t9w4y6b0n", "filename": "invoice.txt", "content_type": "text/plain",
        "size": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "created_at": "2026-01-31T12:00:00.000Z",
    }],
    "next_cursor": null,
})))]
pub(super) struct FileList {
    files: Vec<FileView>,
    /// Where the next page begins; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List an agent's files, oldest first.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}/files",
    tag = "Files",
    operation_id = "list_files",
    params(("id" = schema::AgentId, Path, description = "The agent's id."), PageParams),
    responses((status = 200, description = "A page of files.", body = FileList)),
)]
pub(super) async fn list(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    Params(params): Params<PageParams>,
) -> Result<Answer<FileList>, Problem> {
    let limit = params.limit()?;
    let after = params.after::<FileId>()?;
    let files = app.files.list(&agent.id, after.as_ref(), limit + 1)?;
    let (files, next_cursor) = cursor::page(files, limit, |file| file.id);
    Ok(Answer(FileList { files: files.into_iter().map(FileView::from).collect(), next_cursor }))
}

/// Remove a file for good.
#[utoipa::path(
    delete,
    path = "/v1/agents/{id}/files/{file_id}",
    tag = "Files",
    operation_id = "remove_file",
    params(
        ("id" = schema::AgentId, Path, description = "The agent's id."),
        ("file_id" = schema::FileId, Path, description = "The file's id."),
    ),
    responses((status = 204, description = "The file is gone.")),
)]
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
