//! What is a credential, and what only looks like one.
//!
//! Whatever would alarm a scanner of repositories is put together here from pieces.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use gavel_policy_secrets::Secrets;
use gavel_sdk::policy::{Decision, Policy, Severity, Stage, Subject, Verdict};

fn judged(text: &str) -> Verdict {
    Secrets::configure("{}").unwrap().evaluate(&Subject::text(Stage::Output, text)).unwrap()
}

/// The text after redaction.
fn redacted(text: &str) -> String {
    let edits = match judged(text).decision {
        Decision::Redact(edits) => edits,
        Decision::Allow => Vec::new(),
        other => panic!("{other:?}"),
    };
    let mut redacted = text.to_owned();
    for edit in edits.iter().rev() {
        redacted.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
    }
    redacted
}

/// The whole text is one match of that rule, also in the middle of others and under a telling name.
fn is(rule: &str, text: &str) {
    for (before, after) in [("", ""), ("so (", "), yes"), ("{\"token\":\"", "\"}"), ("TOKEN=", "\n"), ("Bearer ", ".")]
    {
        assert_eq!(redacted(&format!("{before}{text}{after}")), format!("{before}[redacted:{rule}]{after}"), "{text}");
    }
}

fn is_nothing(text: &str) {
    assert_eq!(redacted(text), text);
}

/// A body of that many mixed characters.
fn body(length: usize) -> String {
    "a8Kd3ZqL0xW5vTn7RbYc".chars().cycle().take(length).collect()
}

#[test]
fn tokens_are_known_by_their_prefix() {
    is("aws-access-key", concat!("AKI", "AIOSFODNN7EXAMPLE"));
    is("aws-access-key", concat!("ASI", "AIOSFODNNSEXAMPLE"));
    is("slack-token", &format!("xox{}-123456789012-1234567890123-{}", 'b', body(24)));
    is("slack-token", &format!("xapp-1-A0{}-{}", "12345678", body(40)));
    is("slack-webhook", &format!("https://hooks.slack{}/services/T00000000/B00000000/{}", ".com", body(24)));
    is("stripe-key", &format!("sk_{}_{}", "live", body(24)));
    is("stripe-key", &format!("rk_{}_{}", "test", body(99)));
    is("google-api-key", &format!("AI{}{}", "za", body(35)));
    is("anthropic-key", &format!("sk-{}-api03-{}", "ant", body(93)));
    is("openai-key", &format!("sk-{}", body(48)));
    is("openai-key", &format!("sk-{}-{}_{}", "proj", body(60), body(60)));
}

#[test]
fn what_only_begins_like_a_token_is_none() {
    is_nothing("AKIA is a prefix, AKIAIOSFODNN7 is too short");
    is_nothing(concat!("AKI", "AIOSFODNN7EXAMPLEX"));
    is_nothing(concat!("xAKI", "AIOSFODNN7EXAMPLE"));
    is_nothing("xoxb-your-token-goes-here-please");
    is_nothing("https://hooks.slack.com/services/");
    is_nothing("sk_live_short");
    is_nothing(&format!("AI{}{}", "za", body(36)));
    is_nothing("class=\"sk-learn-button-primary-large-with-icon-and-text\"");
    is_nothing("risk-2024-assessment-Report-Final-Version-3-of-12");
}

#[test]
fn github_tokens_carry_a_checksum() {
    let classic = |kind: &str, checksum: &str| format!("{kind}_G4v3lTest0nlyG4v3lTest0nlyAbCd{checksum}");
    for kind in ["ghp", "gho", "ghu", "ghs", "ghr"] {
        is("github-token", &classic(kind, "2VX68X"));
        is_nothing(&classic(kind, "2VX68Y"));
    }
    is("github-token", concat!("ghp", "_G4v3lTest0nlyG4v3lTest0nly00010nCJ7A"));
    is_nothing(&format!("{}Z", classic("ghp", "2VX68X")));
    is("github-token", &format!("github_{}_{}_{}", "pat", body(22), body(59)));
    is_nothing(&format!("github_{}_{}_{}", "pat", body(22), body(58)));
}

#[test]
fn json_web_tokens_have_a_header() {
    is("jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLWl0");
    is("jwt", "eyJhbGciOiJub25lIn0.e30.");
    is("jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.a.b.c.d");
    is_nothing("eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl");
    is_nothing("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 is a header");
    is_nothing("eyJub3QganNvbg.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl");
    let long = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}.sig", "A".repeat(20_000));
    assert!(redacted(&long).starts_with("[redacted:jwt]AAA"), "cut off at its reach");
}

fn key(label: &str, break_: &str, lines: usize) -> String {
    let lines = vec![body(64); lines].join(break_);
    format!("-----BEGIN {label}-----{break_}{lines}{break_}-----END {label}-----")
}

#[test]
fn private_keys_are_found_whole() {
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
        "ENCRYPTED PRIVATE KEY",
    ] {
        for break_ in ["\n", "\r\n", "\\n", " "] {
            is("private-key", &key(label, break_, 5));
        }
    }
    let open = format!("-----BEGIN PRIVATE KEY-----\n{}\n{}", body(64), body(64));
    is("private-key", &open);
    let verdict = judged(&open);
    assert_eq!(verdict.findings[0].severity, Severity::Critical);
    assert!(!verdict.findings[0].detail.contains("a8Kd"), "never repeats the text");
    let long = redacted(&key("PRIVATE KEY", "\n", 400));
    assert!(long.starts_with("[redacted:private-key]"), "{long}");
    assert!(long.len() < 400 * 65 - 15_000, "cut off at its reach");
}

#[test]
fn talk_of_keys_is_no_key() {
    is_nothing(&key("PUBLIC KEY", "\n", 5));
    is_nothing(&key("CERTIFICATE", "\n", 5));
    is_nothing("A key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.");
    is_nothing("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----");
    is_nothing(&format!("-----BEGIN PRIVATE KEY----- {}", "is how one begins, and so on. ".repeat(40)));
    is_nothing("-----\n----- BEGIN -----");
}

#[test]
fn secrets_are_known_by_their_name() {
    let hidden = |before: &str, value: &str, after: &str, rule: &str| {
        assert_eq!(redacted(&format!("{before}{value}{after}")), format!("{before}[redacted:{rule}]{after}"));
    };
    for (before, after) in [
        ("password=", ""),
        ("DB_PASSWORD = \"", "\""),
        ("api_key: ", ", and"),
        ("{\"apiKey\":\"", "\"}"),
        ("client_secret => '", "'"),
        ("const token := `", "`"),
        ("Authorization: Bearer ", "\n"),
        ("my.service.auth-token=", " "),
        ("The API key: ", "."),
        ("?access_token=", ""),
    ] {
        hidden(before, "q7VxP2mZt9KcL4wB", after, "generic");
    }
    let forty = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXAMPLEKQ";
    for name in ["aws_secret_access_key = ", "AWS_SECRET_ACCESS_KEY=", "\"SecretAccessKey\": \"", "aws-secret: "] {
        hidden(name, forty, "\n", "aws-secret-key");
    }
}

#[test]
fn names_without_secrets_are_nothing() {
    for text in [
        "password=short",
        "password: correct-horse-battery-staple",
        "token = getTokenFromEnvironment()",
        "secret = process.env.MY_APP_SECRET_1",
        "api_key = your_api_key_0a1b2c3d4e5f",
        "API_KEY=xxxxxxxx1a2b3c4d5e6f",
        "max_tokens: 4096",
        "tokens: 1234567890123456",
        "commit = 9f86d081884c7d659a2feaa0c55ad015",
        "id: 550e8400-e29b-41d4-a716-446655440000",
        "key = q7VxP2mZt9KcL4wB",
        "the secret of q7VxP2mZt9KcL4wB",
        "password: ${DB_PASSWORD_1A2B3C4D}",
    ] {
        is_nothing(text);
    }
}

#[test]
fn rules_follow_the_configuration() {
    let policy = Secrets::configure(
        r#"{"action":"flag","actions":{"private-key":"block","generic":"off"},"allow":["AKIA*EXAMPLE"]}"#,
    )
    .unwrap();
    let judge = |text: &str| policy.evaluate(&Subject::text(Stage::Input, text)).unwrap().decision;
    assert_eq!(judge(concat!("AKI", "AIOSFODNN7EXAMPLE password=q7VxP2mZt9KcL4wB")), Decision::Allow);
    assert_eq!(judge(concat!("AKI", "AIOSFODNN7EXAMPLF")), Decision::Flag);
    assert_eq!(judge(&key("PRIVATE KEY", "\n", 5)), Decision::Block("private-key".to_owned()));
    let rules: Vec<String> = policy.rules().into_iter().map(|rule| rule.id).collect();
    let all = [
        "private-key",
        "aws-secret-key",
        "github-token",
        "jwt",
        "aws-access-key",
        "slack-token",
        "slack-webhook",
        "stripe-key",
        "google-api-key",
        "anthropic-key",
        "openai-key",
    ];
    assert_eq!(rules, all);
}
