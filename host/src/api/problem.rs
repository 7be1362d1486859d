//! Errors as RFC 9457 `application/problem+json`: the one error type at the edge, and the one table of codes.

mod of_errors;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::FieldError;
use crate::turn::GovernanceResult;

/// Makes the enum and its table of one list, so that neither lacks what the other has.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident;)+) => {
        /// What went wrong, for machines. The names never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code's name and the HTTP status that it goes with: the table of `docs/api.md`.
            #[must_use]
            pub fn entry(self) -> (&'static str, StatusCode) {
                match self {
                    $(Self::$variant => ($name, StatusCode::$status),)+
                }
            }

            /// The code of this name: of a turn's `error` frame, or of a plugin that is not installed.
            #[must_use]
            pub fn named(name: &str) -> Self {
                Self::ALL.iter().find(|code| code.entry().0 == name).copied().unwrap_or(Self::Internal)
            }
        }
    };
}

codes! {
    /// Malformed JSON, wrong types, unknown fields, parameters out of range.
    InvalidRequest = "invalid_request", BAD_REQUEST;
    /// A policy refuses the configuration that it is given.
    InvalidConfiguration = "invalid_configuration", UNPROCESSABLE_ENTITY;
    /// No valid token.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// Not with this token.
    Forbidden = "forbidden", FORBIDDEN;
    /// The leaf hash is not this agent's, known or not.
    ProofForbidden = "proof_forbidden", FORBIDDEN;
    /// The installation allows no mode as lax as this.
    ModeForbidden = "mode_forbidden", FORBIDDEN;
    /// A policy's binding is the operator's alone.
    MandatoryPolicy = "mandatory_policy", FORBIDDEN;
    /// There is no such thing, or it is another's.
    NotFound = "not_found", NOT_FOUND;
    /// The path knows other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The agent has to be started first.
    AgentNotRunning = "agent_not_running", CONFLICT;
    /// The agent has as many API keys as one may have.
    TooManyApiKeys = "too_many_api_keys", CONFLICT;
    /// The agent has to be stopped first.
    AgentRunning = "agent_running", CONFLICT;
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY;
    /// The session's history has too many gaps to be restored again.
    RestoredTooOften = "restored_too_often", CONFLICT;
    /// The caller has no agent of this id, or names none.
    ModelNotFound = "model_not_found", NOT_FOUND;
    /// A policy stopped what was said.
    ContentFilter = "content_filter", BAD_REQUEST;
    /// No policy can judge it.
    UnjudgedContent = "unjudged_content", BAD_REQUEST;
    /// The provider refused the key, or there is none.
    ProviderUnauthorized = "provider_unauthorized", BAD_GATEWAY;
    /// The provider is rate limited.
    ProviderRateLimited = "provider_rate_limited", TOO_MANY_REQUESTS;
    /// The provider refused the request.
    ProviderRefused = "provider_refused", BAD_REQUEST;
    /// The provider took too long.
    ProviderTimeout = "provider_timeout", GATEWAY_TIMEOUT;
    /// The provider cannot be reached, failed, broke off or answered rubbish.
    ProviderUnavailable = "provider_unavailable", BAD_GATEWAY;
    /// The turn was cancelled.
    Cancelled = "cancelled", SERVICE_UNAVAILABLE;
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE;
    /// A file is larger than the limit.
    FileTooLarge = "file_too_large", PAYLOAD_TOO_LARGE;
    /// A policy does not let the file pass.
    FileBlocked = "file_blocked", UNPROCESSABLE_ENTITY;
    /// The file has no such range of bytes.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE;
    /// A policy of the agent cannot be bound any more.
    PolicyUnavailable = "policy_unavailable", SERVICE_UNAVAILABLE;
    /// The object store does not answer as it should.
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE;
    /// The client stopped sending.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT;
    /// The body is no JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The path takes WebSockets alone.
    UpgradeRequired = "upgrade_required", UPGRADE_REQUIRED;
    /// A month's allowance is used up.
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS;
    /// More requests than the minute allows.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS;
    /// The caller has a backtest under way.
    BacktestRunning = "backtest_running", TOO_MANY_REQUESTS;
    /// Whoever vouches for the caller cannot be asked.
    IssuerUnavailable = "issuer_unavailable", SERVICE_UNAVAILABLE;
    /// It is no WebAssembly component that can be run.
    InvalidPlugin = "invalid_plugin", UNPROCESSABLE_ENTITY;
    /// The component is made for something else.
    PluginWrongWorld = "plugin_wrong_world", UNPROCESSABLE_ENTITY;
    /// The component is built against another version of the interface.
    PluginWrongVersion = "plugin_wrong_version", UNPROCESSABLE_ENTITY;
    /// The component imports what its kind of plugin is not given.
    PluginForbiddenImport = "plugin_forbidden_import", UNPROCESSABLE_ENTITY;
    /// The component's manifest breaks a rule.
    PluginBadManifest = "plugin_bad_manifest", UNPROCESSABLE_ENTITY;
    /// The schema of the component's configuration cannot be used.
    PluginBadSchema = "plugin_bad_schema", UNPROCESSABLE_ENTITY;
    /// The component failed when it was tried out.
    PluginFailedTrial = "plugin_failed_trial", UNPROCESSABLE_ENTITY;
    /// The version is another component already.
    PluginVersionTaken = "plugin_version_taken", CONFLICT;
    /// The name belongs to another kind of plugin.
    PluginNameTaken = "plugin_name_taken", CONFLICT;
    /// The operator's bindings would be served by it, and it does not take their configuration.
    PluginBreaksBinding = "plugin_breaks_binding", CONFLICT;
    /// A binding relies on the version.
    PluginBound = "plugin_bound", CONFLICT;
    /// The version comes from a file in the watched directory.
    PluginWatched = "plugin_watched", CONFLICT;
    /// The plugin is not signed, and has to be.
    PluginUnsigned = "plugin_unsigned", UNPROCESSABLE_ENTITY;
    /// The plugin's signature is not one of it by a trusted key.
    PluginSignatureInvalid = "plugin_signature_invalid", UNPROCESSABLE_ENTITY;
    /// The registry has no such artifact.
    RegistryNotFound = "registry_not_found", UNPROCESSABLE_ENTITY;
    /// Nothing is fetched from there.
    RegistryForbidden = "registry_forbidden", FORBIDDEN;
    /// The registry does not let this server pull.
    RegistryUnauthorized = "registry_unauthorized", BAD_GATEWAY;
    /// The registry has been asked too often.
    RegistryRateLimited = "registry_rate_limited", TOO_MANY_REQUESTS;
    /// The registry gave something else than what was asked for.
    RegistryMismatch = "registry_mismatch", BAD_GATEWAY;
    /// The registry cannot be reached, failed or broke off.
    RegistryUnavailable = "registry_unavailable", BAD_GATEWAY;
    /// The registry takes too long.
    RegistryTimeout = "registry_timeout", GATEWAY_TIMEOUT;
    /// As many versions are installed as may be.
    TooManyPlugins = "too_many_plugins", CONFLICT;
    /// Every instance that it would need is taken.
    Busy = "busy", SERVICE_UNAVAILABLE;
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The server is going down.
    ShuttingDown = "shutting_down", SERVICE_UNAVAILABLE;
    /// It took too long.
    Timeout = "timeout", GATEWAY_TIMEOUT;
}

/// An error as the client sees it. `detail` holds no stack, path or secret.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    governance: Vec<GovernanceResult>,
}

impl Problem {
    /// A problem with words for people.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: None, governance: Vec::new() }
    }

    /// The same, with the seconds after which it is worth trying again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, with the verdicts behind it.
    #[must_use]
    pub fn governance(self, governance: Vec<GovernanceResult>) -> Self {
        Self { governance, ..self }
    }

    /// A request whose fields are at fault.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::with_fields(Code::InvalidRequest, errors)
    }

    pub(super) fn with_fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if !one.pointer.is_empty() => format!("{}: {}", one.pointer, one.detail),
            [one] => one.detail.clone(),
            _ => "some fields are not acceptable".to_owned(),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// There is no such thing here, or it is another's: nobody learns which.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such resource")
    }

    /// A fault of ours: written to the log whole, and shown to the client as nothing but that.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Code::Internal, "the server failed to answer")
    }

    /// The machine-readable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it says to people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The first field at fault, as a JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        self.errors.first().map(|error| error.pointer.as_str())
    }

    /// As the client is shown it.
    pub(super) fn body(&self) -> Body<'_> {
        let (code, status) = self.code.entry();
        Body {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail,
            code,
            errors: self.errors.iter().map(|FieldError { pointer, detail }| Fault { pointer, detail }).collect(),
            governance: &self.governance,
        }
    }
}

/// An error (RFC 9457). Its `code` is stable and for machines.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// Always `about:blank`: `code` says more.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for people.
    detail: &'a str,
    /// What is wrong, for machines.
    #[schema(schema_with = super::openapi::every_code)]
    code: &'static str,
    /// The fields that are at fault, where some are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
    /// The verdicts that refused it, where verdicts did.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    governance: &'a [GovernanceResult],
}

/// A field that is not acceptable.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
struct Fault<'a> {
    /// Where: a JSON pointer (RFC 6901) into the body, or the parameter's name behind a slash.
    #[schema(example = "/model")]
    pointer: &'a str,
    /// What is wrong with it.
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status) = self.code.entry();
        // Texts and numbers always have a JSON form.
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::UpgradeRequired => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            }
            _ => {}
        }
        let restart = (self.code == Code::ShuttingDown).then_some(RESTART_SECONDS);
        if let Some(seconds) = self.retry_after.or(restart) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Seconds after which a server that goes down may be up again.
const RESTART_SECONDS: u64 = 5;

#[cfg(test)]
mod tests {
    use gavel_store::StoreError;
    use serde_json::{Value, json};

    use super::*;

    fn shown(problem: &Problem) -> Value {
        serde_json::to_value(problem.body()).unwrap()
    }

    #[test]
    fn a_field_error_names_its_pointer() {
        let fault = FieldError { pointer: "/model".to_owned(), detail: "is too long".to_owned() };
        let body = shown(&Problem::invalid(vec![fault]));
        assert_eq!(
            body,
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_request",
                "detail": "/model: is too long",
                "errors": [{"pointer": "/model", "detail": "is too long"}],
            })
        );
    }

    #[test]
    fn a_missing_token_says_how_to_show_one() {
        let response = Problem::new(Code::Unauthorized, "no").into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_fault_of_ours_shows_nothing_of_itself() {
        let error = StoreError::Corrupt("row 7 of /secret/path".to_owned());
        let body = shown(&Problem::from(error)).to_string();
        assert!(!body.contains("secret"), "{body}");
    }
}
