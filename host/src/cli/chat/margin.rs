//! What a chat looks like: the answer's text as it comes, and in the margin what was decided about it.

use serde_json::Value;

/// What stands before a line of the margin.
const MARGIN: &str = "  | ";

/// A page of a chat, written frame by frame.
#[derive(Default)]
pub(super) struct Page {
    /// Whether text stands on the line under way.
    in_line: bool,
    /// Whether a frame of the turn has come.
    begun: bool,
    /// The answer that is under way.
    answer: Option<String>,
    over: bool,
    failed: bool,
}

impl Page {
    /// A message has been sent.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(super) fn turn_is_over(&self) -> bool {
        self.over
    }

    pub(super) fn turn_failed(&self) -> bool {
        self.failed
    }

    /// Takes a frame, and gives what is to be shown of it.
    pub(super) fn take(&mut self, frame: &Value) -> String {
        match text(frame, "type") {
            "stream_start" => {
                self.begun = true;
                self.answer = Some(text(frame, "message_id").to_owned());
                String::new()
            }
            "stream_chunk" => self.chunk(text(frame, "content")),
            "governance_result" => {
                self.begun = true;
                self.note(&verdict(frame))
            }
            "tool_call" => {
                let call = frame.get("tool_call").unwrap_or(&Value::Null);
                self.note(&format!("calls {}({})", text(call, "name"), text(call, "arguments")))
            }
            "stream_end" => self.end(frame),
            "error" => {
                self.failed = true;
                // What is refused before its turn begins has no other frame.
                self.over |= !self.begun;
                self.note(&format!("error {}: {}", text(frame, "code"), text(frame, "message")))
            }
            _ => String::new(),
        }
    }

    fn chunk(&mut self, content: &str) -> String {
        let shown = plain(content);
        if let Some(last) = shown.chars().last() {
            self.in_line = last != '\n';
        }
        shown
    }

    fn end(&mut self, frame: &Value) -> String {
        if self.answer.as_deref() != Some(text(frame, "message_id")) {
            return String::new();
        }
        self.over = true;
        match text(frame, "finish_reason") {
            "stop" => self.ended_line().to_owned(),
            other => self.note(&format!("the answer ended: {other}")),
        }
    }

    /// A line of the margin.
    fn note(&mut self, words: &str) -> String {
        let mut line = format!("{}{MARGIN}{}", self.ended_line(), plain(words).replace('\n', " "));
        line.push('\n');
        line
    }

    fn ended_line(&mut self) -> &'static str {
        if std::mem::take(&mut self.in_line) { "\n" } else { "" }
    }
}

/// One line of a verdict: `input: block by code-names/code-name, leaf 4. The code name of an internal project.`
fn verdict(frame: &Value) -> String {
    let mut line = format!("{}: {}", text(frame, "stage"), text(frame, "decision"));
    let would = text(frame, "would");
    if !would.is_empty() && would != text(frame, "decision") {
        line.push_str(&format!(" (would {would})"));
    }
    let reason = frame.get("reason").filter(|reason| reason.is_object());
    if let Some(reason) = reason {
        line.push_str(&format!(" by {}/{}", text(reason, "policy"), text(reason, "rule")));
    }
    if frame.get("enforced").and_then(Value::as_bool) == Some(false) && reason.is_some() {
        line.push_str(", not enforced");
    }
    if let Some(leaf) = frame.get("leaf_index").and_then(Value::as_u64) {
        line.push_str(&format!(", leaf {leaf}"));
    }
    if let Some(summary) = reason.map(|reason| text(reason, "summary")).filter(|summary| !summary.is_empty()) {
        line.push_str(&format!(". {summary}"));
    }
    line
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A model's text without what would command the terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_stands_on_the_page_and_its_verdicts_in_the_margin() {
        let mut page = Page::default();
        page.begin();
        let frames = [
            json!({"type": "governance_result", "stage": "input", "decision": "allow", "would": "allow", "leaf_index": 3}),
            json!({"type": "stream_start", "message_id": "a"}),
            json!({"type": "stream_chunk", "message_id": "a", "content": "Hel\u{1b}[31m"}),
            json!({"type": "stream_chunk", "message_id": "a", "content": "lo"}),
            json!({"type": "governance_result", "stage": "output", "decision": "redact", "would": "redact", "enforced": true,
                "reason": {"policy": "pii", "rule": "card", "summary": "A card."}, "leaf_index": 4}),
            json!({"type": "stream_end", "message_id": "a", "finish_reason": "stop"}),
        ];
        let shown: String = frames.iter().map(|frame| page.take(frame)).collect();
        assert_eq!(shown, "  | input: allow, leaf 3\nHel[31mlo\n  | output: redact by pii/card, leaf 4. A card.\n");
        assert!(page.turn_is_over() && !page.turn_failed());
    }

    #[test]
    fn a_refused_message_is_over_at_once_and_a_failed_turn_at_its_end() {
        let mut page = Page::default();
        page.begin();
        page.take(&json!({"type": "error", "code": "busy", "message": "later"}));
        assert!(page.turn_is_over() && page.turn_failed());
        page.begin();
        page.take(&json!({"type": "stream_start", "message_id": "a"}));
        page.take(&json!({"type": "error", "code": "provider_unavailable", "message": "gone"}));
        assert!(!page.turn_is_over());
        page.take(&json!({"type": "stream_end", "message_id": "z", "finish_reason": "stop"}));
        assert!(!page.turn_is_over(), "another turn's end");
        let end = page.take(&json!({"type": "stream_end", "message_id": "a", "finish_reason": "error"}));
        assert_eq!(end, "  | the answer ended: error\n");
        assert!(page.turn_is_over());
    }
}
