//! `POST /v1/agents/{id}/files`

use axum::Json as Answer;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::App;
use super::super::guard::{TheAgent, TheCaller};
use super::super::problem::{Code, Problem};
use super::FileView;
use super::form::Form;
use crate::files::{Upload, Uploaded};
use crate::schema;
use crate::turn::{CallerFacts, GovernanceResult};

/// The form's only field.
const FIELD: &str = "file";

/// The files of one upload.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"files": [{
    "file_id": "file_01k6zv3mfe5x8q2r7t9w4y6b0n", "filename": "invoice.pdf", "content_type": "application/pdf",
    "size": 4, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-01-31T12:00:00.000Z", "governance": null,
}]})))]
pub(in super::super) struct UploadedFiles {
    files: Vec<UploadedView>,
}

/// A file as its upload shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadedFile)]
struct UploadedView {
    #[serde(flatten)]
    file: FileView,
    /// What the policies said of it; null where none could judge it.
    #[schema(required)]
    governance: Option<GovernanceResult>,
}

impl From<Uploaded> for UploadedView {
    fn from(uploaded: Uploaded) -> Self {
        Self { file: uploaded.file.into(), governance: uploaded.governance }
    }
}

/// The form of an upload.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "its shape alone is wanted: the form is read as it comes")]
struct UploadForm {
    /// The files, each in a part of its own under this name.
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1, max_items = 16)]
    file: (),
}

/// Upload files.
///
/// They are streamed to where they are kept. Texts are judged at the stage `file` by the policies that are bound to it.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/files",
    tag = "Files",
    operation_id = "upload_files",
    params(("id" = schema::AgentId, Path, description = "The agent's id.")),
    request_body(content = UploadForm, content_type = "multipart/form-data", example = json!({"file": ["test"]})),
    responses(
        (status = 201, description = "The files.", body = UploadedFiles),
        (status = 408, description = "The client stopped sending."),
        (status = 413, description = "A file is larger than the limit."),
        (status = 422, description = "A policy does not let a file pass."),
    ),
)]
pub(in super::super) async fn create(
    State(app): State<App>,
    TheAgent(agent): TheAgent,
    TheCaller(caller): TheCaller,
    request: Request,
) -> Result<(StatusCode, Answer<UploadedFiles>), Problem> {
    let facts = CallerFacts { kind: caller.kind(), id: caller.pseudonym(&agent), owner: caller.owns(&agent) };
    let form = Form::of(request).await?;
    let upload = app.files.upload(agent, facts)?;
    // A task of its own: when the client goes away, what was written has to be taken back all the same.
    let closing = app.tasks.closing().clone();
    let receiving = app.tasks.spawn(async move {
        tokio::select! {
            received = receive(form, upload) => received,
            () = closing.cancelled() => Err(Problem::new(Code::ShuttingDown, "the server is going down")),
        }
    });
    let uploaded =
        receiving.await.map_err(|_| Problem::new(Code::Internal, "the server failed to take the upload"))??;
    let files = uploaded.into_iter().map(UploadedView::from).collect();
    Ok((StatusCode::CREATED, Answer(UploadedFiles { files })))
}

async fn receive(mut form: Form, mut upload: Upload) -> Result<Vec<Uploaded>, Problem> {
    match write(&mut form, &mut upload).await {
        Ok(()) => Ok(upload.commit().await?),
        Err(problem) => {
            tokio::join!(upload.abandon(), form.drain());
            Err(problem)
        }
    }
}

async fn write(form: &mut Form, upload: &mut Upload) -> Result<(), Problem> {
    while let Some(mut part) = form.next().await? {
        if part.name() != FIELD {
            return Err(Problem::new(Code::InvalidRequest, "the form has no field but `file`"));
        }
        upload.begin(part.file_name(), part.content_type()).await?;
        while let Some(bytes) = part.chunk().await? {
            upload.write(&bytes).await?;
        }
    }
    Ok(())
}
