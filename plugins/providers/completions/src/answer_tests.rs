use gavel_sdk::provider::Closed;
use proptest::prelude::*;

use super::*;
use crate::chunk::parse;

const HELLO: &str = concat!(
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hé\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}},{\"index\":0,\"delta\":{\"content\":\"llo\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,",
    "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n",
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
    (sent, result)
}

fn read(text: &str) -> (Vec<Delta>, Result<Completion, Error>) {
    read_pieces(&[text.as_bytes()])
}

fn text(text: &str) -> Delta {
    Delta::Text(text.into())
}

fn reasoning(text: &str) -> Delta {
    Delta::Reasoning(Reasoning { text: text.into(), opaque: None })
}

/// Neighbouring texts of one kind as one.
fn joined(sent: Vec<Delta>) -> Vec<Delta> {
    let mut joined: Vec<Delta> = Vec::new();
    for delta in sent {
        match (joined.last_mut(), delta) {
            (Some(Delta::Text(text)), Delta::Text(more)) => text.push_str(&more),
            (Some(Delta::Reasoning(thought)), Delta::Reasoning(more)) => thought.text.push_str(&more.text),
            (_, delta) => joined.push(delta),
        }
    }
    joined
}

#[test]
fn what_comes_by_and_by_goes_on_by_and_by() {
    let cut = HELLO.find("data: {\"choices\":[{\"index\":1").unwrap();
    let (sent, _) = read_pieces(&[&HELLO.as_bytes()[..cut], &HELLO.as_bytes()[cut..]]);
    assert_eq!(sent, [reasoning("hm"), text("Hé"), text("llo")]);
}

#[test]
fn a_whole_stream() {
    let (sent, result) = read(HELLO);
    assert_eq!(sent, [reasoning("hm"), text("Héllo")], "what came together goes on together");
    let usage = Usage { input_tokens: 3, output_tokens: 5, reasoning_tokens: Some(2), ..Usage::default() };
    let expected = Completion { finish_reason: FinishReason::Length, usage: Some(usage), model: Some("m-1".into()) };
    assert_eq!(result, Ok(expected));
}

#[test]
fn tool_calls_come_in_pieces_and_go_whole() {
    let (sent, result) = read(concat!(
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"name":"g"}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"arguments":"{\"x\":"}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
        "\n\ndata: [DONE]\n\n",
    ));
    let call = |id: &str, name: &str, arguments: &str| {
        Delta::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments_json: arguments.into(), opaque: None })
    };
    assert_eq!(sent, [call("a", "f", r#"{"x":1}"#), call("call_1", "g", "{}")]);
    assert_eq!(result.unwrap().finish_reason, FinishReason::ToolCalls);
}

#[test]
fn a_stream_without_an_end_is_no_answer() {
    let began = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    assert!(matches!(read(began).1, Err(Error::Interrupted(_))));
    assert!(matches!(read("").1, Err(Error::Unavailable(_))));
    assert!(matches!(read(": ping\n\n").1, Err(Error::Unavailable(_))));
    let finished = format!("{began}data: {{\"choices\":[{{\"finish_reason\":\"stop\"}}]}}");
    assert_eq!(read(&finished).1.unwrap().finish_reason, FinishReason::Stop);
}

#[test]
fn rubbish_and_errors_in_the_stream() {
    assert!(matches!(read("data: <html>\n\n").1, Err(Error::Unavailable(_))));
    let failed = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    assert_eq!(read(failed).1, Err(Error::Unavailable("overloaded".into())));
    let began = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    assert_eq!(read(&format!("{began}{failed}")).1, Err(Error::Interrupted("overloaded".into())));
}

#[test]
fn a_reader_that_went_away_ends_the_reading() {
    let mut reads = 0;
    let mut gone = |_| Err(Closed);
    let result = stream(
        || {
            reads += 1;
            Ok(Some(HELLO.as_bytes().to_vec()))
        },
        parse,
        &mut Sink::new(&mut gone),
    );
    assert_eq!((result, reads), (Err(Error::Cancelled), 1));
}

#[test]
fn an_answer_that_does_not_stream() {
    let body = r#"{"choices":[{"message":{"content":"Hello","tool_calls":null},"finish_reason":"stop"}]}"#;
    let mut pieces = body.as_bytes().chunks(7);
    let mut sent = Vec::new();
    let mut keep = |delta| {
        sent.push(delta);
        Ok(())
    };
    let result = whole(|| Ok(pieces.next().map(<[u8]>::to_vec)), parse, &mut Sink::new(&mut keep));
    assert_eq!(result.unwrap().finish_reason, FinishReason::Stop);
    assert_eq!(sent, [text("Hello")]);
}

#[test]
fn long_text_is_sent_in_pieces() {
    let long = "é".repeat(MAX_DELTA_BYTES);
    let (sent, _) = read(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n"));
    assert_eq!(sent, [text(&"é".repeat(MAX_DELTA_BYTES / 2)), text(&"é".repeat(MAX_DELTA_BYTES / 2))]);
}

proptest! {
    #[test]
    fn cuts_change_nothing(cuts in prop::collection::vec(0..HELLO.len(), 0..20)) {
        let mut at = cuts;
        at.extend([0, HELLO.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &HELLO.as_bytes()[pair[0]..pair[1]]).collect();
        let (sent, result) = read_pieces(&pieces);
        prop_assert_eq!((joined(sent), result), read(HELLO));
    }

    #[test]
    fn a_cut_stream_is_never_an_answer_before_its_end(length in 0..HELLO.len()) {
        let complete = HELLO.find("length").unwrap();
        let (_, result) = read_pieces(&[&HELLO.as_bytes()[..length]]);
        prop_assert!(length > complete || result.is_err());
    }
}
