//! What the API answers, and what the provider asks it: natively, without a host and without a network.

use gavel_plugin_name::{answer, body};
use gavel_sdk::provider::{Completion, Delta, Error, FinishReason, Request, Sink, Tool};
use gavel_sdk::types::{Message, Role};

/// Reads a stream that comes in pieces of this size.
fn read(stream: &str, size: usize) -> (String, Result<Completion, Error>) {
    let mut pieces = stream.as_bytes().chunks(size);
    let mut text = String::new();
    let mut keep = |delta| {
        let Delta::Text(piece) = delta else { panic!("only text is sent") };
        text.push_str(&piece);
        Ok(())
    };
    let result = answer::read(|| Ok(pieces.next().map(<[u8]>::to_vec)), &mut Sink::new(&mut keep));
    (text, result)
}

const HELLO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße, 世界😀\"}}]}\n\n";

#[test]
fn text_is_handed_on_as_it_comes_and_the_end_says_how_it_went() {
    let end = r#"{"choices":[{"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let stream = format!(": hello\n\n{HELLO}data: {end}\r\n\r\ndata: [DONE]\n\n");
    for size in [1, 2, 3, 7, 1000] {
        let (text, result) = read(&stream, size);
        let completion = result.expect("a completion");
        assert_eq!(text, "Grüße, 世界😀", "pieces of {size}");
        assert_eq!(completion.finish_reason, FinishReason::Length);
        assert_eq!(completion.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((3, 2)));
    }
}

#[test]
fn what_breaks_off_is_tried_again_only_before_the_first_delta() {
    assert!(matches!(read("data: {\"cho", 4).1, Err(Error::Unavailable(_))));
    assert!(matches!(read(HELLO, 4).1, Err(Error::Interrupted(_))));
    assert!(matches!(read(&format!("{HELLO}data: nonsense\n\n"), 4).1, Err(Error::Interrupted(_))));
}

#[test]
fn a_status_is_told_as_the_interface_has_it() {
    assert!(answer::check(200, || None).is_ok());
    assert!(matches!(answer::check(401, || None), Err(Error::Unauthorized(_))));
    assert_eq!(answer::check(429, || Some("2".to_owned())), Err(Error::RateLimited(Some(2000))));
    assert!(matches!(answer::check(404, || None), Err(Error::InvalidRequest(_))));
    assert!(matches!(answer::check(502, || None), Err(Error::Unavailable(_))));
}

#[test]
fn a_request_is_said_in_the_words_of_the_api() {
    let mut request = Request {
        model: "small".to_owned(),
        messages: vec![Message::text(Role::User, "Hello?")],
        max_output_tokens: Some(9),
        ..Request::default()
    };
    let said = body(&request).expect("a body");
    assert_eq!(said["messages"], serde_json::json!([{ "role": "user", "content": "Hello?" }]));
    assert_eq!((&said["max_tokens"], &said["stream"]), (&9.into(), &true.into()));
    let (name, description, parameters_schema) = ("t".to_owned(), String::new(), "{}".to_owned());
    request.tools = vec![Tool { name, description, parameters_schema }];
    assert!(matches!(body(&request), Err(Error::InvalidRequest(_))));
}
