//! A runtime with its providers, as a test wants it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gavel_sandbox::CodeCache;
use gavel_sandbox::provider::{
    ChatRequest, ChatStream, Completion, CredentialGrant, Delta, Grant, Message, Part, ProviderBinding,
    ProviderComponent, ProviderError, ProviderLimits, ProviderRuntime, Role,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::components;
use crate::upstream::Upstream;

pub(crate) const KEY: &str = "sk-the-operators-key";

/// Limits that make a test quick.
pub(crate) fn limits() -> ProviderLimits {
    ProviderLimits {
        max_instances: 4,
        backoff: Duration::from_millis(5),
        compute: Duration::from_secs(2),
        ..ProviderLimits::default()
    }
}

pub(crate) struct House {
    pub(crate) runtime: ProviderRuntime,
}

impl House {
    pub(crate) fn new(limits: &ProviderLimits) -> Self {
        static CODE: OnceLock<TempDir> = OnceLock::new();
        let directory = CODE.get_or_init(|| tempfile::tempdir().unwrap());
        let cache = CodeCache::open(directory.path().to_owned(), [7; 32], 1 << 30).unwrap();
        Self { runtime: ProviderRuntime::new(limits, Some(Arc::new(cache))).unwrap() }
    }

    pub(crate) async fn openai(&self) -> Arc<ProviderComponent> {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| components::build("gavel-provider-openai"));
        Arc::new(self.runtime.load(bytes).await.unwrap())
    }

    pub(crate) async fn rogue(&self) -> Arc<ProviderComponent> {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| components::build("gavel-provider-rogue"));
        Arc::new(self.runtime.load(bytes).await.unwrap())
    }

    /// The openai provider at one of the upstream's scripts, granted what it asks for and private addresses.
    pub(crate) async fn openai_at(&self, upstream: &Upstream, script: &str) -> Arc<ProviderBinding> {
        let component = self.openai().await;
        let config = json!({"base_url": upstream.base_url(script)});
        let grant = Grant { allow_private: true, ..Grant::from_manifest(component.manifest(), &config).unwrap() };
        self.bind(component, &config, grant).await
    }

    /// The rogue with these origins and the key in `authorization`.
    pub(crate) async fn rogue_at(&self, origins: &[&str], allow_private: bool) -> Arc<ProviderBinding> {
        self.rogue_told(&json!({}), origins, allow_private).await
    }

    /// The same one, configured to ask for a URL first.
    pub(crate) async fn rogue_told(
        &self,
        config: &Value,
        origins: &[&str],
        allow_private: bool,
    ) -> Arc<ProviderBinding> {
        let grant = Grant {
            origins: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
            credential: Some(CredentialGrant::new("authorization", "Bearer {key}", true).unwrap()),
            allow_private,
        };
        self.bind(self.rogue().await, config, grant).await
    }

    async fn bind(&self, component: Arc<ProviderComponent>, config: &Value, grant: Grant) -> Arc<ProviderBinding> {
        Arc::new(self.runtime.bind(component, &config.to_string(), grant).await.unwrap())
    }

    pub(crate) fn chat(&self, binding: &Arc<ProviderBinding>, request: ChatRequest) -> ChatStream {
        let permit = self.runtime.permit().expect("there is room");
        self.runtime.chat(binding, permit, Some(SecretString::from(KEY)), None, request)
    }

    /// A whole chat: its text and its end.
    pub(crate) async fn say(
        &self,
        binding: &Arc<ProviderBinding>,
        model: &str,
        text: &str,
    ) -> (String, Result<Completion, ProviderError>) {
        let mut stream = self.chat(binding, request(model, text));
        let mut said = String::new();
        let whole = async {
            while let Some(delta) = stream.deltas.recv().await {
                if let Delta::Text(text) = delta {
                    said.push_str(&text);
                }
            }
            stream.finish().await
        };
        let end = timeout(Duration::from_secs(30), whole).await.expect("the chat ends");
        (said, end)
    }
}

pub(crate) fn request(model: &str, text: &str) -> ChatRequest {
    let message = Message { role: Role::User, parts: vec![Part::Text(text.into())] };
    ChatRequest { model: model.into(), messages: vec![message], ..ChatRequest::default() }
}
