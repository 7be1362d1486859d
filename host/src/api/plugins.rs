//! Plugins: listed for every user, installed, approved and deleted by administrators.

use std::collections::BTreeSet;

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gavel_log::Hash;
use gavel_log::judged::Stage;
use gavel_sandbox::policy::MAX_COMPONENT_BYTES;
use gavel_store::{PluginGrant, PluginKind, PluginSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::body::{Json, bounded, essence};
use super::problem::{Code, Problem};
use crate::clock::rfc3339_ms;
use crate::plugins::trust::{Evidence, MAX_SIGNATURE_BYTES};
use crate::plugins::{PluginDetail, PluginState, PluginStatus, Source};
use crate::schema;

/// The media type of a component.
const WASM: &str = "application/wasm";
const JSON: &str = "application/json";
/// The header of a component's signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-gavel-signature");

/// A version of a plugin; or a file in the watched directory that gives none, with what is wrong with it.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin, examples(json!({
    "name": "pii", "kind": "policy", "version": "0.1.0",
    "digest": "sha256:6a3d4b0c8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4", "source": "bundled", "reference": null,
    "state": "serving", "summary": "Finds personal data and redacts it.", "stages": ["input", "output"], "error": null,
    "installed_at": "2026-01-31T12:00:00.000Z", "signed_by": null,
})))]
pub(super) struct PluginView {
    /// Its name; of a file that never was a plugin the file's own, without `.wasm`.
    name: String,
    #[schema(required, value_type = Option<schema::PluginKind>)]
    kind: Option<PluginKind>,
    /// Its semantic version.
    #[schema(required)]
    version: Option<String>,
    /// `sha256:` and 64 hex digits of its bytes.
    #[schema(required)]
    digest: Option<String>,
    #[schema(value_type = schema::PluginSource)]
    source: PluginSource,
    /// What the source calls it: the file's name, or the registry's reference.
    #[schema(required)]
    reference: Option<String>,
    #[schema(value_type = schema::PluginState)]
    state: PluginState,
    /// One sentence of its author's.
    #[schema(required)]
    summary: Option<String>,
    /// The stages that a policy can judge; empty for a provider.
    #[schema(value_type = Vec<schema::Stage>)]
    stages: Vec<Stage>,
    /// Why it cannot serve.
    #[schema(required)]
    error: Option<String>,
    #[schema(required, value_type = Option<schema::Time>)]
    installed_at: Option<String>,
    /// The key that signed it, by the first 16 hex digits of the SHA-256 of its `SubjectPublicKeyInfo`.
    #[schema(required)]
    signed_by: Option<String>,
}

impl From<PluginStatus> for PluginView {
    fn from(status: PluginStatus) -> Self {
        Self {
            name: status.name,
            kind: status.kind,
            version: status.version,
            digest: status.digest.map(|digest| digest.tagged()),
            source: status.source,
            reference: status.reference,
            state: status.state,
            summary: status.summary,
            stages: status.stages,
            error: status.error,
            installed_at: status.installed_at.map(rfc3339_ms),
            signed_by: status.signed_by,
        }
    }
}

/// Plugins by name.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"plugins": []})))]
pub(super) struct PluginList {
    plugins: Vec<PluginView>,
}

/// List the plugins: of each the version that serves, newer ones that do not, and files that were refused.
#[utoipa::path(
    get,
    path = "/v1/plugins",
    tag = "Plugins",
    operation_id = "list_plugins",
    responses((status = 200, description = "All plugins.", body = PluginList)),
)]
pub(super) async fn list(State(app): State<App>) -> Answer<PluginList> {
    Answer(PluginList { plugins: app.plugins.list().into_iter().map(PluginView::from).collect() })
}

/// Origins that may be called, and headers that may carry a key.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginGrant, examples(json!({
    "origins": ["https://api.acme.example"], "credentials": [{"header": "authorization", "format": "Bearer {key}"}],
})))]
pub(super) struct GrantView {
    #[schema(value_type = Vec<String>)]
    origins: BTreeSet<String>,
    credentials: Vec<CredentialView>,
}

/// A header that may carry a key.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginCredential, examples(json!({"header": "authorization", "format": "Bearer {key}"})))]
struct CredentialView {
    header: String,
    /// Its value, with `{key}` where the key goes.
    format: String,
}

impl From<PluginGrant> for GrantView {
    fn from(grant: PluginGrant) -> Self {
        let credentials = grant.credentials.into_iter().map(|(header, format)| CredentialView { header, format });
        Self { origins: grant.origins, credentials: credentials.collect() }
    }
}

/// A plugin with what a list leaves out.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginDetail, examples(json!({
    "name": "acme", "kind": "provider", "version": "1.0.0",
    "digest": "sha256:6a3d4b0c8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4", "source": "upload", "reference": null,
    "state": "pending", "summary": "Speaks with Acme.", "stages": [], "error": null,
    "installed_at": "2026-01-31T12:00:00.000Z", "signed_by": null, "config_schema": {"type": "object"},
    "asks": {"origins": ["https://api.acme.example"], "credentials": []}, "granted": {"origins": [], "credentials": []},
})))]
pub(super) struct DetailView {
    #[serde(flatten)]
    plugin: PluginView,
    /// JSON Schema of its configuration; null where it is not known.
    #[schema(required, value_type = Option<Object>)]
    config_schema: Option<Value>,
    /// What a provider asks for; null for a policy, which has no capabilities.
    #[schema(required)]
    asks: Option<GrantView>,
    /// What is granted to its name, by the binary, the configuration or an administrator.
    #[schema(required)]
    granted: Option<GrantView>,
}

impl From<PluginDetail> for DetailView {
    fn from(PluginDetail { status, config_schema, grants }: PluginDetail) -> Self {
        let (asks, granted) = grants.unzip();
        let (asks, granted) = (asks.map(GrantView::from), granted.map(GrantView::from));
        Self { plugin: status.into(), config_schema, asks, granted }
    }
}

/// Show a plugin: the version that serves; where none does, the newest.
#[utoipa::path(
    get,
    path = "/v1/plugins/{name}",
    tag = "Plugins",
    operation_id = "show_plugin",
    params(("name" = String, Path, description = "The plugin's name.")),
    responses(
        (status = 200, description = "The plugin.", body = DetailView),
        (status = 404, description = "There is no such plugin."),
    ),
)]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> Result<Answer<DetailView>, Problem> {
    let shown = app.plugins.show(&name).await.map_err(|error| Problem::internal(&error))?;
    shown.map(|detail| Answer(detail.into())).ok_or_else(Problem::not_found)
}

/// Versions, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersions, examples(json!({"versions": []})))]
pub(super) struct VersionList {
    versions: Vec<PluginView>,
}

/// List the versions of a plugin, the newest first.
#[utoipa::path(
    get,
    path = "/v1/plugins/{name}/versions",
    tag = "Plugins",
    operation_id = "list_plugin_versions",
    params(("name" = String, Path, description = "The plugin's name.")),
    responses(
        (status = 200, description = "Its versions.", body = VersionList),
        (status = 404, description = "There is no such plugin."),
    ),
)]
pub(super) async fn versions(State(app): State<App>, Path(name): Path<String>) -> Result<Answer<VersionList>, Problem> {
    let versions = app.plugins.versions(&name).ok_or_else(Problem::not_found)?;
    Ok(Answer(VersionList { versions: versions.into_iter().map(PluginView::from).collect() }))
}

/// A plugin in a registry.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PluginReference, examples(json!({"oci": "registry.example.org/team/code-names:1.0.0"})))]
pub(super) struct Reference {
    /// `registry/repository:tag`, or `registry/repository@sha256:…` with the digest of the manifest.
    #[schema(min_length = 1, max_length = 1024)]
    oci: String,
}

/// Install a plugin.
///
/// The body is a WebAssembly component, or says where in an OCI registry one is. It is checked, compiled and tried out; then it serves, from the next turn on, every agent
/// that follows its name. The same bytes again answer 200. A provider that asks for more than is granted is installed and
/// waits for approval.
#[utoipa::path(
    post,
    path = "/v1/plugins",
    tag = "Plugins",
    operation_id = "install_plugin",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Asked for again within a day under the same key, it is done once and answered alike.", min_length = 1, max_length = 255),
        ("x-gavel-signature" = Option<String>, Header, description = "A component's signature as base64: Ed25519, or ECDSA over P-256 and SHA-256 as cosign makes it.", max_length = 4096),
    ),
    request_body(
        content((Vec<u8> = "application/wasm"), (Reference = "application/json")),
        description = "A component of at most 64 MiB, or where one is.",
    ),
    responses(
        (status = 200, description = "These bytes were installed before.", body = PluginView),
        (status = 201, description = "The version.", body = PluginView,
            headers(("location" = String, description = "The plugin's path."))),
        (status = 403, description = "Not with this token. Or nothing is fetched from there: the registry is at a private address, or would be asked in clear."),
        (status = 409, description = "The version is another component already, the name belongs to another kind, or there are too many."),
        (status = 413, description = "The component is too large."),
        (status = 422, description = "It is no plugin that this server runs; `code` says why. Or it is not signed as it has to be, the registry has no such artifact, or the key was used for another request."),
        (status = 429, description = "The registry has been asked too often."),
        (status = 502, description = "The registry failed, wants another login, or gave something else than what was asked for."),
        (status = 504, description = "The request or the registry took longer than it may."),
    ),
)]
pub(super) async fn install(State(app): State<App>, request: Request) -> Result<impl IntoResponse, Problem> {
    let kind = essence(request.headers());
    let installed = if kind.eq_ignore_ascii_case(WASM) {
        let (head, body) = request.into_parts();
        let evidence = evidence(&head.headers)?;
        let bytes = component(&head.headers, body).await?;
        app.plugins.install(bytes.into(), Source::Upload, evidence).await?
    } else if kind.eq_ignore_ascii_case(JSON) {
        if request.headers().contains_key(SIGNATURE) {
            let detail = format!("{SIGNATURE} goes with a component: a registry has its own signatures");
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
        let Json(Reference { oci }): Json<Reference> = Json::from_request(request, &app).await?;
        app.plugins.pull(&oci).await?
    } else {
        let detail = format!("the body must be a component, as {WASM}, or name one, as {JSON}");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    };
    let location: [(HeaderName, String); 1] = [(header::LOCATION, format!("/v1/plugins/{}", installed.status.name))];
    let status = if installed.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, location, Answer(PluginView::from(installed.status))))
}

/// The signature that comes with a component.
fn evidence(headers: &HeaderMap) -> Result<Evidence, Problem> {
    let mut given = headers.get_all(SIGNATURE).iter();
    let (Some(signature), None) = (given.next(), given.next()) else {
        return match headers.contains_key(SIGNATURE) {
            true => Err(Problem::new(Code::InvalidRequest, format!("{SIGNATURE} is there more than once"))),
            false => Ok(Evidence::None),
        };
    };
    if signature.len() as u64 > MAX_SIGNATURE_BYTES {
        let detail = format!("{SIGNATURE} is longer than {MAX_SIGNATURE_BYTES} characters");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    Ok(Evidence::Detached(signature.as_bytes().to_vec()))
}

/// Reads a component, of which no more is kept than may be.
async fn component(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = bounded(headers, body, MAX_COMPONENT_BYTES).await?;
    Ok(std::mem::take(&mut *bytes))
}

/// Lets few be sent at once, since each is held in memory.
pub(super) async fn few_at_once(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let Ok(_room) = app.plugins.uploads.try_acquire() else {
        return Err(Problem::new(Code::Busy, "other plugins are being installed").retry_after(1));
    };
    Ok(next.run(request).await)
}

/// Delete a version: it is no longer listed.
///
/// What was judged by it stays as it is, and can be computed again: its bytes are kept.
#[utoipa::path(
    delete,
    path = "/v1/plugins/{name}/versions/{digest}",
    tag = "Plugins",
    operation_id = "delete_plugin_version",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("digest" = String, Path, description = "The version's digest: `sha256:` and 64 hex digits."),
    ),
    responses(
        (status = 204, description = "It is no longer listed."),
        (status = 404, description = "There is no such version."),
        (status = 409, description = "A binding is pinned to it or could follow no other, or its file is in the watched directory."),
    ),
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path((name, digest)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let digest = Hash::parse_tagged(&digest).map_err(|_| Problem::not_found())?;
    app.plugins.retire(&name, digest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which version is approved.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = PluginApproval, examples(json!({
    "digest": "sha256:6a3d4b0c8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4",
})))]
pub(super) struct Approval {
    /// Its digest; none for the newest version that waits. Naming it makes sure that nobody has installed another meanwhile.
    #[schema(pattern = "^sha256:[0-9a-f]{64}$")]
    digest: Option<String>,
}

/// A version and what is granted to its name now.
#[derive(Serialize, ToSchema)]
#[schema(as = ApprovedPlugin, examples(json!({
    "name": "acme", "kind": "provider", "version": "1.0.0",
    "digest": "sha256:6a3d4b0c8f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4", "source": "upload", "reference": null,
    "state": "serving", "summary": "Speaks with Acme.", "stages": [], "error": null,
    "installed_at": "2026-01-31T12:00:00.000Z", "signed_by": null,
    "granted": {"origins": ["https://api.acme.example"], "credentials": []},
})))]
pub(super) struct ApprovedView {
    #[serde(flatten)]
    plugin: PluginView,
    granted: GrantView,
}

/// Grant a provider what it asks for.
///
/// It is granted to the plugin's name: a later version that asks for no more serves at once. An agent's own key was given for
/// the origins of that time, and is not sent to others: its owner has to give it again.
#[utoipa::path(
    post,
    path = "/v1/plugins/{name}/approve",
    tag = "Plugins",
    operation_id = "approve_plugin",
    params(("name" = String, Path, description = "The plugin's name.")),
    request_body = Option<Approval>,
    responses(
        (status = 200, description = "The version, and what was granted.", body = ApprovedView),
        (status = 400, description = "The digest is none, or the plugin is a policy, which asks for nothing."),
        (status = 404, description = "There is no such version."),
    ),
)]
pub(super) async fn approve(
    State(app): State<App>,
    Path(name): Path<String>,
    Json(approval): Json<Approval>,
) -> Result<Answer<ApprovedView>, Problem> {
    let digest = approval.digest.map(|digest| Hash::parse_tagged(&digest)).transpose();
    let digest =
        digest.map_err(|_| Problem::new(Code::InvalidRequest, "/digest: must be sha256: and 64 hex digits"))?;
    let approved = app.plugins.approve(&name, digest).await?;
    Ok(Answer(ApprovedView { plugin: approved.status.into(), granted: approved.granted.into() }))
}
