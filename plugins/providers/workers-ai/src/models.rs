//! The list of models: `GET …/ai/models/search`.

use gavel_sdk::provider::{Error, Model};
use serde::Deserialize;
use serde_json::Value;

/// Those that chat, in one page.
pub(crate) const CALL: &str = "/models/search?task=Text%20Generation&per_page=100";
/// What the vendor calls the size of a model's context.
const CONTEXT: &str = "context_window";

#[derive(Deserialize)]
struct List {
    result: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    property_id: String,
    /// A text or a number; of some properties a list.
    value: Value,
}

/// The models of an answer.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Model>, Error> {
    let list: List =
        serde_json::from_slice(body).map_err(|_| Error::Unavailable("what came is no list of models".into()))?;
    Ok(list.result.into_iter().map(|item| Model { context_tokens: context(&item.properties), id: item.name }).collect())
}

fn context(properties: &[Property]) -> Option<u32> {
    let size = &properties.iter().find(|property| property.property_id == CONTEXT)?.value;
    size.as_str().map_or_else(|| size.as_u64().and_then(|size| size.try_into().ok()), |size| size.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let list = parse(
            br#"{"success":true,"errors":[],"messages":[],"result":[
                {"id":"41975cc2-c82e-4e98-b7b8-88ffb186a545","source":1,"name":"@cf/meta/llama-3.1-8b-instruct",
                 "task":{"name":"Text Generation"},"tags":[],"properties":[{"property_id":"beta","value":"true"}]},
                {"name":"@cf/meta/llama-3.3-70b-instruct-fp8-fast","properties":[
                 {"property_id":"price","value":[{"unit":"per M input tokens","price":0.293}]},
                 {"property_id":"context_window","value":"24000"}]},
                {"name":"@hf/a/b","properties":[{"property_id":"context_window","value":8192}]}]}"#,
        );
        let model = |id: &str, context_tokens| Model { id: id.into(), context_tokens };
        let expected = [
            model("@cf/meta/llama-3.1-8b-instruct", None),
            model("@cf/meta/llama-3.3-70b-instruct-fp8-fast", Some(24_000)),
            model("@hf/a/b", Some(8192)),
        ];
        assert_eq!(list.unwrap(), expected);
        assert!(CALL.bytes().all(|byte| byte.is_ascii_graphic()), "it is sent as it is");
        assert!(matches!(parse(b"<html>"), Err(Error::Unavailable(_))));
    }
}
