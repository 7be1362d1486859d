//! Answers as the vendor documents them, cut in every way that a network may cut them.

use gavel_provider_completions::answer::{stream, whole};
use gavel_provider_completions::status;
use gavel_sdk::provider::{Completion, Delta, Error, FinishReason, Sink};
use gavel_sdk::types::{Reasoning, ToolCall, Usage};
use proptest::prelude::*;

use crate::event::{measured, parse};

/// The vendor's own form, with characters of two and four bytes, a comment, `\r\n`, padding and usage.
const NATIVE: &str = concat!(
    "data: {\"response\":\"Gr\u{fc}\u{df}\",\"p\":\"abdefghijklmnop\"}\n\n",
    ": keep-alive\n\n",
    "data: {\"response\":\" Gott \u{1f44b}\",\"p\":\"abd\"}\r\n\r\n",
    "data: {\"response\":7,\"p\":\"a\"}\n\n",
    "data: {\"response\":\"\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}\n\n",
    "data: [DONE]\n\n",
);
/// The form of newer models.
const LIKE_OPENAI: &str = concat!(
    "data: {\"id\":\"id-1\",\"object\":\"chat.completion.chunk\",\"model\":\"@cf/m\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"hm\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df} Gott\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],",
    "\"usage\":{\"prompt_tokens\":44,\"completion_tokens\":2,\"total_tokens\":46}}\n\n",
    "data: [DONE]\n\n",
);

fn read_pieces(pieces: &[&[u8]]) -> (Vec<Delta>, Result<Completion, Error>) {
    let mut pieces = pieces.iter();
    let mut sent = Vec::new();
    let mut keep = |delta| {
        sent.push(delta);
        Ok(())
    };
    let result = stream(|| Ok(pieces.next().map(|piece| piece.to_vec())), parse, &mut Sink::new(&mut keep));
    (joined(sent), result)
}

fn read(text: &str) -> (Vec<Delta>, Result<Completion, Error>) {
    read_pieces(&[text.as_bytes()])
}

fn read_whole(body: &str) -> (Vec<Delta>, Result<Completion, Error>) {
    let mut pieces = body.as_bytes().chunks(7);
    let mut sent = Vec::new();
    let mut keep = |delta| {
        sent.push(delta);
        Ok(())
    };
    let result = whole(|| Ok(pieces.next().map(<[u8]>::to_vec)), parse, &mut Sink::new(&mut keep));
    (joined(sent), result)
}

/// Neighbouring texts as one.
fn joined(sent: Vec<Delta>) -> Vec<Delta> {
    let mut joined: Vec<Delta> = Vec::new();
    for delta in sent {
        match (joined.last_mut(), delta) {
            (Some(Delta::Text(text)), Delta::Text(more)) => text.push_str(&more),
            (_, delta) => joined.push(delta),
        }
    }
    joined
}

fn text(text: &str) -> Delta {
    Delta::Text(text.into())
}

fn call(id: &str, name: &str, arguments: &str) -> Delta {
    Delta::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments_json: arguments.into(), opaque: None })
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Option<Usage> {
    Some(Usage { input_tokens, output_tokens, ..Usage::default() })
}

#[test]
fn the_vendors_own_form() {
    let (sent, result) = read(NATIVE);
    assert_eq!(sent, [text("Gr\u{fc}\u{df} Gott \u{1f44b}7")]);
    let expected = Completion { finish_reason: FinishReason::Stop, usage: tokens(11, 5), model: None };
    assert_eq!(result, Ok(expected));
}

#[test]
fn the_form_of_newer_models() {
    let (sent, result) = read(LIKE_OPENAI);
    assert_eq!(sent, [Delta::Reasoning(Reasoning { text: "hm".into(), opaque: None }), text("Gr\u{fc}\u{df} Gott")]);
    let expected =
        Completion { finish_reason: FinishReason::Length, usage: tokens(44, 2), model: Some("@cf/m".into()) };
    assert_eq!(result, Ok(expected));
}

#[test]
fn cut_at_every_byte_it_reads_the_same() {
    for answer in [NATIVE, LIKE_OPENAI] {
        let bytes = answer.as_bytes();
        let uncut = read(answer);
        for at in 0..=bytes.len() {
            assert_eq!(read_pieces(&[&bytes[..at], &bytes[at..]]), uncut, "cut at {at}");
        }
        assert_eq!(read_pieces(&bytes.chunks(1).collect::<Vec<_>>()), uncut, "byte by byte");
    }
}

#[test]
fn without_its_end_it_is_interrupted() {
    let end = NATIVE.find("data: [DONE]").unwrap();
    for at in 0..end {
        let (sent, result) = read_pieces(&[&NATIVE.as_bytes()[..at]]);
        match result {
            Err(Error::Interrupted(_)) => assert!(!sent.is_empty(), "cut at {at}"),
            Err(Error::Unavailable(_)) => assert!(sent.is_empty(), "cut at {at}"),
            other => panic!("cut at {at}: {other:?}"),
        }
    }
}

#[test]
fn tool_calls_come_flat_or_in_pieces() {
    let (sent, result) = read(concat!(
        "data: {\"response\":\"\",\"tool_calls\":[]}\n\n",
        "data: {\"response\":null,\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"x\":1}}]}\n\n",
        "data: {\"tool_calls\":[{\"name\":\"g\",\"arguments\":\"{}\"},{\"name\":\"h\",\"arguments\":{}}]}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!(sent, [call("call_0", "f", "{\"x\":1}"), call("call_1", "g", "{}"), call("call_2", "h", "{}")]);
    assert_eq!(result.unwrap().finish_reason, FinishReason::ToolCalls);

    let (sent, result) = read(concat!(
        "data: {\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"index\":0,\"function\":{\"name\":\"f\"}}]}\n\n",
        "data: {\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]}\n\n",
        "data: {\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}\n\n",
        "data: {\"tool_calls\":[{\"id\":null,\"type\":null,\"index\":0,",
        "\"function\":{\"name\":null,\"arguments\":\"\"}}]}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!(sent, [call("a", "f", "{\"x\":1}")]);
    assert_eq!(result.unwrap().finish_reason, FinishReason::ToolCalls);
}

#[test]
fn an_error_inside_the_stream() {
    let began = "data: {\"response\":\"Hel\"}\n\n";
    for (failed, words) in [
        ("data: {\"error\":\"3040: Capacity temporarily exceeded\"}\n\n", "3040: Capacity temporarily exceeded"),
        (
            "data: {\"errors\":[{\"message\":\"AiError: timeout\",\"code\":3007}],\"success\":false}\n\n",
            "AiError: timeout",
        ),
        ("data: {\"success\":false}\n\n", "the upstream failed"),
    ] {
        assert_eq!(read(failed).1, Err(Error::Unavailable(words.into())));
        assert_eq!(read(&format!("{began}{failed}")).1, Err(Error::Interrupted(words.into())));
    }
}

#[test]
fn what_is_no_answer() {
    for rubbish in
        ["<html>", "{}", "[]", "7", "{\"response\":\"a\",\"tool_calls\":7}", "{\"p\":\"abc\"}", "{\"choices\":7}"]
    {
        assert!(matches!(read(&format!("data: {rubbish}\n\n")).1, Err(Error::Unavailable(_))), "{rubbish}");
    }
}

#[test]
fn an_answer_that_does_not_stream() {
    let (sent, result) = read_whole(
        r#"{"result":{"response":"Hello","tool_calls":[],"usage":{"prompt_tokens":1,"completion_tokens":2}},
            "success":true,"errors":[],"messages":[]}"#,
    );
    assert_eq!(sent, [text("Hello")]);
    let expected = Completion { finish_reason: FinishReason::Stop, usage: tokens(1, 2), model: None };
    assert_eq!(result, Ok(expected));

    let under_a_schema = r#"{"result":{"response":{"name":"India"}},"success":true,"errors":[],"messages":[]}"#;
    assert_eq!(read_whole(under_a_schema).0, [text("{\"name\":\"India\"}")]);

    let (sent, result) = read_whole(
        r#"{"result":{"choices":[{"message":{"content":null,
            "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{"x":1}}}]}}]},"success":true}"#,
    );
    assert_eq!(sent, [call("a", "f", "{\"x\":1}")]);
    assert_eq!(result.unwrap().finish_reason, FinishReason::ToolCalls);

    let failed = r#"{"result":null,"success":false,"errors":[{"code":5007,"message":"No such model"}],"messages":[]}"#;
    assert_eq!(read_whole(failed).1, Err(Error::Unavailable("No such model".into())));
    assert!(matches!(read_whole(r#"{"result":null,"success":true}"#).1, Err(Error::Unavailable(_))));
}

#[test]
fn statuses_with_the_vendors_bodies() {
    let body = |code: u32, message: &str| {
        format!(r#"{{"errors":[{{"message":"{message}","code":{code}}}],"success":false,"result":{{}},"messages":[]}}"#)
    };
    let of = |status: u16, header: Option<&str>, code: u32, message: &str| {
        let header = |name: &str| header.filter(|_| name == "retry-after").map(str::to_owned);
        status::error(status, header, body(code, message).as_bytes())
    };
    assert_eq!(
        of(401, None, 10000, "Authentication error"),
        Error::Unauthorized("status 401: Authentication error".into())
    );
    assert!(matches!(of(403, None, 5018, "The account is not allowed"), Error::Unauthorized(_)));
    assert_eq!(of(400, None, 5007, "No such model m"), Error::InvalidRequest("status 400: No such model m".into()));
    assert!(matches!(of(404, None, 7003, "Could not route"), Error::InvalidRequest(_)));
    assert!(matches!(of(413, None, 3006, "Request is too large"), Error::InvalidRequest(_)));
    assert!(matches!(of(408, None, 3007, "Request timeout"), Error::Unavailable(_)));
    assert_eq!(of(429, Some("30"), 3040, "Out of capacity"), Error::RateLimited(Some(30_000)));
    assert_eq!(of(429, None, 3036, "daily free allocation"), Error::RateLimited(None));
    for status in [500, 502, 504, 522] {
        assert!(matches!(of(status, None, 0, "oops"), Error::Unavailable(_)), "{status}");
    }
}

#[test]
fn an_answer_that_took_all_its_tokens_was_cut() {
    let completion = |finish_reason, taken| Completion { finish_reason, usage: tokens(1, taken), model: None };
    let reason = |finish, taken| measured(completion(finish, taken), 256).finish_reason;
    assert_eq!(reason(FinishReason::Stop, 255), FinishReason::Stop);
    assert_eq!(reason(FinishReason::Stop, 256), FinishReason::Length);
    assert_eq!(reason(FinishReason::ToolCalls, 256), FinishReason::ToolCalls);
}

proptest! {
    #[test]
    fn cuts_change_nothing(cuts in prop::collection::vec(0..NATIVE.len(), 0..20)) {
        let mut at = cuts;
        at.extend([0, NATIVE.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &NATIVE.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read_pieces(&pieces), read(NATIVE));
    }

    #[test]
    fn rubbish_never_panics(data in "\\PC{0,64}") {
        let _ = read(&format!("data: {data}\n\n"));
        let _ = read_whole(&data);
    }
}
