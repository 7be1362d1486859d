//! A policy that breaks its contract in whichever way the text tells it to, and is harmless otherwise. For tests alone.

#![expect(clippy::panic, clippy::infinite_iter, reason = "what it is for")]

use gavel_sdk::policy::{
    Decision, Edit, Finding, Manifest, Policy, Progress, Rule, Severity, Span, StreamingPolicy, Subject, Verdict,
};

/// The rule that it declares.
const RULE: &str = "declared";

/// What `describe` is told, which is given nothing else: a test writes over these bytes of the component.
static TOLD: [u8; 32] = *b"describe is told: do:nothing.   ";

/// What it holds from `configure` on.
struct Hostile(#[expect(dead_code, reason = "it is there to take room")] Vec<u8>);

impl Policy for Hostile {
    fn manifest() -> Manifest {
        let usual = Manifest {
            config_schema: r#"{"type":"object","properties":{"tell":{"type":"string"}},"additionalProperties":false}"#
                .to_owned(),
            ..Manifest::new("hostile", "1.0.0", "Breaks its contract.")
        };
        match told(&String::from_utf8_lossy(std::hint::black_box(&TOLD))) {
            "loop" => endless(),
            "eat memory" => eat(),
            "panic" => panic!("as told"),
            "flood" => return Manifest { summary: "x".repeat(2 << 20), ..usual },
            _ => {}
        }
        usual
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        match told(config_json) {
            "loop" => endless(),
            "eat memory" => eat(),
            "overflow" => drop(deep(1)),
            "panic" => panic!("as told"),
            "refuse" => return Err("as told".to_owned()),
            // All of it has to go into a snapshot.
            "take room" => return Ok(Self(vec![7; 40 << 20])),
            _ => {}
        }
        Ok(Self(Vec::new()))
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::new(RULE, "A rule.")]
    }

    fn evaluate(&self, subject: &Subject) -> Result<Verdict, String> {
        match told(&subject.text) {
            "loop" => endless(),
            "sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
            "print" => (0..200).for_each(|line| println!("line {line}")),
            "print without end" => (0_u64..).for_each(|line| println!("line {line}")),
            "eat memory" => eat(),
            "overflow" => drop(deep(1)),
            "panic" => panic!("as told"),
            "refuse" => return Err(format!("no: {}", subject.text)),
            "flood" => return Ok(flagged(vec![finding(RULE, None); 4_000])),
            "flood at once" => {
                let detail = "x".repeat(2 << 20);
                return Ok(flagged(vec![Finding { detail, ..finding(RULE, None) }]));
            }
            "tell" => {
                return Ok(flagged(vec![Finding { detail: subject.text.clone(), ..finding(RULE, None) }]));
            }
            "name a rule by the text" => return Ok(Verdict::block(subject.text.clone(), Severity::High, "")),
            "undeclared" => return Ok(Verdict::block("nobody-knows", Severity::High, "")),
            "undeclared finding" => return Ok(flagged(vec![finding("nobody-knows", None)])),
            "split a character" => return Ok(redacted(vec![edit(1, 2, "x")])),
            "beyond" => return Ok(redacted(vec![edit(0, 1_000_000, "x")])),
            "beyond finding" => return Ok(flagged(vec![finding(RULE, Some(Span { start: 0, end: 1_000_000 }))])),
            "backward span" => return Ok(redacted(vec![edit(8, 4, "x")])),
            "overlap" => return Ok(redacted(vec![edit(0, 4, "x"), edit(3, 8, "y")])),
            "unsorted" => return Ok(redacted(vec![edit(4, 8, "x"), edit(0, 2, "y")])),
            "empty replacement" => return Ok(redacted(vec![edit(0, 2, "")])),
            "control" => return Ok(redacted(vec![edit(0, 2, "\u{1b}[2J")])),
            "nothing to redact" => return Ok(redacted(Vec::new())),
            _ => {}
        }
        Ok(Verdict::allow())
    }
}

impl StreamingPolicy for Hostile {
    type Review = String;

    fn begin(&self, subject: Subject) -> String {
        match told(&subject.text) {
            "begin to loop" => endless(),
            "begin to panic" => panic!("as told"),
            _ => {}
        }
        subject.text
    }

    fn push(&self, review: &mut String, text: &str) -> Result<Progress, String> {
        let before = review.len();
        review.push_str(text);
        let at = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let cleared = at(review.len());
        let progress = |cleared, edits| Ok(Progress { cleared, edits, blocked: None });
        match told(review) {
            "push loop" => endless(),
            "push panic" => panic!("as told"),
            "push a refusal" => return Err(format!("no: {review}")),
            "block by the text" => {
                return Ok(Progress { cleared: 0, edits: Vec::new(), blocked: Some(review.clone()) });
            }
            "clear backward" if before > 0 => return progress(0, Vec::new()),
            "clear beyond" => return progress(cleared + 1, Vec::new()),
            "clear into a character" => return progress(1, Vec::new()),
            "edit what was cleared" if before > 0 => return progress(cleared, vec![edit(0, 2, "x")]),
            "edit what is not cleared" => return progress(2, vec![edit(2, at(review.len()), "x")]),
            "take a block back" => {
                let blocked = (before == 0).then(|| RULE.to_owned());
                return Ok(Progress { cleared: 0, edits: Vec::new(), blocked });
            }
            "block undeclared" => {
                return Ok(Progress { cleared: 0, edits: Vec::new(), blocked: Some("nobody-knows".into()) });
            }
            "forget a block" => return Ok(Progress { cleared: 0, edits: Vec::new(), blocked: Some(RULE.into()) }),
            "forget an edit" if before == 0 => return progress(cleared, vec![edit(0, 2, "x")]),
            _ => {}
        }
        progress(cleared, Vec::new())
    }

    fn finish(&self, review: String) -> Result<Verdict, String> {
        match told(&review) {
            "finish otherwise" => Ok(redacted(vec![edit(0, 2, "x")])),
            _ => self.evaluate(&Subject::text(gavel_sdk::policy::Stage::Output, review)),
        }
    }
}

/// What the text tells it to do: what stands between `do:` and the next full stop.
fn told(text: &str) -> &str {
    let after = text.split_once("do:").map_or("", |(_, after)| after);
    after.split('.').next().unwrap_or_default()
}

fn endless() {
    let mut number = 1_u64;
    while std::hint::black_box(number) != 0 {
        number = number.wrapping_mul(6_364_136_223_846_793_005) | 1;
    }
}

fn eat() {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        // Taken and not written to: memory is to run out, not fuel.
        eaten.push(Vec::with_capacity(1 << 20));
        std::hint::black_box(&eaten);
    }
}

#[expect(unconditional_recursion, reason = "what it is for")]
fn deep(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    deep(depth + 1).wrapping_add(here.iter().sum::<u64>())
}

fn redacted(edits: Vec<Edit>) -> Verdict {
    Verdict { decision: Decision::Redact(edits), findings: Vec::new() }
}

fn flagged(findings: Vec<Finding>) -> Verdict {
    Verdict { decision: Decision::Flag, findings }
}

fn finding(rule: &str, span: Option<Span>) -> Finding {
    Finding { rule: rule.to_owned(), severity: Severity::High, span, detail: "x".repeat(512) }
}

fn edit(start: u32, end: u32, replacement: &str) -> Edit {
    Edit { span: Span { start, end }, replacement: replacement.to_owned() }
}

gavel_sdk::export_streaming_policy!(Hostile);
