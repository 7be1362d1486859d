//! A provider that was built against a released version of the interface goes on working.

use std::sync::Arc;

use gavel_sandbox::provider::{FinishReason, Grant, Model, ProviderError, Usage};
use serde_json::{Value, json};

use crate::house::{House, KEY, limits};
use crate::upstream::Upstream;

/// Built against `gavel:plugin@0.1.0`, and never again: see `released/README.md`.
const V0_1_0: &[u8] = include_bytes!("../released/0.1.0/provider.wasm");

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_0_1_0_loads_and_speaks_as_recorded() {
    let (house, upstream) = (House::new(&limits()), Upstream::start().await);
    let provider = Arc::new(house.runtime.load(V0_1_0).await.unwrap());
    let manifest = provider.manifest();
    assert_eq!(
        (manifest.name.as_str(), manifest.origins.as_slice()),
        ("released-provider", ["{base-url}".to_owned()].as_slice())
    );
    let at = async |script: &str| {
        let config = json!({"base_url": upstream.base_url(script), "models": ["m-1"]});
        let grant = Grant { allow_private: true, ..Grant::from_manifest(provider.manifest(), &config).unwrap() };
        Arc::new(house.runtime.bind(Arc::clone(&provider), &config.to_string(), grant).await.unwrap())
    };

    let binding = at("hello").await;
    let (said, end) = house.say(&binding, "m", "Hi").await;
    let end = end.unwrap();
    assert_eq!((said.as_str(), end.finish_reason, end.model.as_deref()), ("Hello", FinishReason::Stop, Some("m-1")));
    assert_eq!(end.usage, Some(Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() }));
    let (headers, body) = upstream.last();
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Hi"}]));

    let permit = house.runtime.permit().unwrap();
    let models = house.runtime.models(&binding, permit, Some(KEY.into())).await.unwrap();
    assert_eq!(models, [Model { id: "m-1".into(), context_tokens: None }]);

    let (_, refused) = house.say(&at("unauthorized").await, "m", "Hi").await;
    assert_eq!(refused, Err(ProviderError::Unauthorized("status 401".into())));
}
