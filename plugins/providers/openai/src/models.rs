//! The list of models.

use gavel_sdk::provider::{Error, Model};
use serde::Deserialize;

#[derive(Deserialize)]
struct List {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    /// As vLLM, Groq and `OpenRouter` call it; OpenAI does not say.
    #[serde(alias = "max_model_len", alias = "context_window")]
    context_length: Option<u32>,
}

/// The models of `GET /models`.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Model>, Error> {
    let list: List =
        serde_json::from_slice(body).map_err(|_| Error::Unavailable("what came is no list of models".into()))?;
    Ok(list.data.into_iter().map(|item| Model { id: item.id, context_tokens: item.context_length }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let list =
            parse(br#"{"object":"list","data":[{"id":"a","owned_by":"x"},{"id":"b","max_model_len":8192}]}"#).unwrap();
        let model = |id: &str, context_tokens| Model { id: id.into(), context_tokens };
        assert_eq!(list, [model("a", None), model("b", Some(8192))]);
        assert!(matches!(parse(b"<html>"), Err(Error::Unavailable(_))));
    }
}
