//! What is personal data, and what only looks like it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

use gavel_policy_pii::Pii;
use gavel_sdk::policy::{Decision, Policy, Stage, Subject};

/// The text after redaction.
fn redacted(text: &str) -> String {
    let policy = Pii::configure("{}").unwrap();
    let verdict = policy.evaluate(&Subject::text(Stage::Output, text)).unwrap();
    let edits = match verdict.decision {
        Decision::Redact(edits) => edits,
        Decision::Allow => Vec::new(),
        other => panic!("{other:?}"),
    };
    assert_eq!(edits.len(), verdict.findings.len());
    let mut redacted = text.to_owned();
    for edit in edits.iter().rev() {
        redacted.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
    }
    redacted
}

/// The whole text is one match of that rule, also in the middle of others.
fn is(rule: &str, text: &str) {
    assert_eq!(redacted(text), format!("[redacted:{rule}]"), "{text}");
    assert_eq!(redacted(&format!("so ({text}), yes")), format!("so ([redacted:{rule}]), yes"), "{text}");
    assert_eq!(redacted(&format!("\"{text}\". Now")), format!("\"[redacted:{rule}]\". Now"), "{text}");
}

fn is_nothing(text: &str) {
    assert_eq!(redacted(text), text);
}

#[test]
fn cards_are_found_however_they_are_written() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111 - 1111 - 1111 - 1111",
        "4111.1111.1111.1111",
        "4111/1111/1111/1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "4111\u{a0}1111\u{2009}1111\u{202f}1111",
        "4\u{200b}1\u{200b}1\u{200b}1111111111111",
        "41\u{ad}11\u{200d}11\u{2060}11\u{feff}11111111",
        "４１１１ １１１１ １１１１ １１１１",
        "٤١١١١١١١١١١١١١١١",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
        "4222222222222",
        "5555 5555 5555 4444",
        "2223003122003222",
        "3782 822463 10005",
        "30569309025904",
        "6011111111111117",
        "3530 1113 3330 0000",
        "6200000000000005",
        "2200 0000 0000 0004",
    ] {
        is("card", card);
    }
    assert_eq!(redacted("visa4111 1111 1111 1111cvc"), "visa[redacted:card]cvc");
    assert_eq!(redacted("4111 1111 1111 1111 12/27"), "[redacted:card] 12/27");
    assert_eq!(redacted("7 4111 1111 1111 1111"), "7 [redacted:card]");
    assert_eq!(redacted("no.4111111111111111"), "no.[redacted:card]");
}

#[test]
fn other_numbers_are_no_cards() {
    for text in [
        "4111 1111 1111 1112",          // check digit
        "1111 1111 1111 1117",          // no issuer
        "411111111111111",              // Visa has no 15 digits
        "41111111111111111111",         // 20 digits
        "0.4111111111111111",           // a fraction
        "a4111111111111111",            // an identifier
        "deadbeef4111111111111111cafe", // hexadecimal
        "1715000000000 1715000000001",  // timestamps
        "2024-05-06T12:34:56.789012345Z",
        "20240506123456789",
        "4111,1111,1111,1111",
        "4111\n1111\n1111\n1111",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678901234567890123456789012",
    ] {
        is_nothing(text);
    }
}

#[test]
fn ibans_are_found() {
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "de89 3704 0044 0532 0130 00",
        "DE 89 3704-0044-0532-0130-00",
        "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NL91 ABNA 0417 1643 00",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
        "CH93\u{a0}0076\u{a0}2011\u{a0}6238\u{a0}5295\u{a0}7",
        "BE68\u{200b}5390 0754 7034",
    ] {
        is("iban", iban);
    }
    assert_eq!(redacted("IBAN:DE89370400440532013000,"), "IBAN:[redacted:iban],");
}

#[test]
fn other_codes_are_no_ibans() {
    for text in [
        "DE88 3704 0044 0532 0130 00", // check digits
        "DE89 3704 0044 0532 0130 0",  // too short
        "DE893704004405320130001",     // too long
        "XX89 3704 0044 0532 0130 00", // no country
        "GB82 1234 1234 5698 7654 32", // not the country's structure
        "XDE89370400440532013000",
        "at 12 noon it is 20 degrees",
    ] {
        is_nothing(text);
    }
}

#[test]
fn social_security_numbers_are_found() {
    for ssn in
        ["536-90-4399", "536 90 4399", "536\u{2011}90\u{2011}4399", "536\u{200b}-90-4399", "５３６-９０-４３９９"]
    {
        is("us-ssn", ssn);
    }
    assert_eq!(redacted("SSN:536-90-4399."), "SSN:[redacted:us-ssn].");
}

#[test]
fn other_numbers_are_no_social_security_numbers() {
    for text in [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "536-00-4399",
        "536-90-0000",
        "536-90 4399",
        "536-90-43990",
        "1-536-90-4399",
        "536-90-4399-1",
        "536904399",
        "a536-90-4399",
    ] {
        is_nothing(text);
    }
}

#[test]
fn phone_numbers_are_found() {
    for phone in [
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+1 (555) 234-5678",
        "+1-555-234-5678",
        "+15552345678",
        "+49 30 1234567",
        "+33 1 23 45 67 89",
        "+65 6123 4567",
        "0044 20 7946 0958",
        "555-234-5678",
        "555.234.5678",
        "555 234 5678",
        "555\u{2011}234\u{2011}5678",
        "1-800-555-0199",
        "020 7946 0958",
        "07700 900123",
        "01 23 45 67 89",
        "0171 1234567",
        "030/1234567",
        "0412 345 678",
    ] {
        is("phone", phone);
    }
    assert_eq!(redacted("tel:+1-555-234-5678"), "tel:[redacted:phone]");
    assert_eq!(redacted("call (555) 234-5678 now"), "call [redacted:phone] now");
    assert_eq!(redacted("(020) 7946 0958"), "[redacted:phone]");
    assert_eq!(redacted("555 234 5678 24 hours a day"), "[redacted:phone] 24 hours a day");
}

#[test]
fn other_numbers_are_no_phone_numbers() {
    for text in [
        "order 5552345678",
        "5552345678",
        "2024-05-06 12:34:56",
        "2024-05-06T12:34:56+02:00",
        "12:34:56.789",
        "v1.22.333.4444",
        "192.168.100.200",
        "10.0.0.1",
        "01.02.2024",
        "1 000 000 000",
        "3+12345678901",
        "+12345678",
        "C++ 20 2023",
        "200 300 4000 500 600",
        "550e8400-e29b-41d4-a716-446655440000",
        "978-3-16-148410-0",
        "(2024) 12 pages",
        "pages 100-200, 300",
        "0x1234 5678 9abc",
        "123-456-7890",
    ] {
        is_nothing(text);
    }
}

#[test]
fn email_addresses_are_found() {
    for email in [
        "ada@example.com",
        "Ada.Lovelace+news@mail.example.co.uk",
        "josé@exämple.de",
        "иван@пример.рф",
        "ada@xn--exmple-cua.de",
        "ada\u{200b}@example.com",
        "ada＠example.com",
        "ada (at) example.com",
        "ada[at]example[dot]com",
        "ada (AT) example (dot) com",
        "a_b-c%d@sub.domain.museum",
        "1@2.io",
    ] {
        is("email", email);
    }
    assert_eq!(redacted("mailto:ada@example.com?subject=x"), "mailto:[redacted:email]?subject=x");
    assert_eq!(redacted("<ada@example.com>; bob@example.org."), "<[redacted:email]>; [redacted:email].");
    assert_eq!(redacted("...ada@example.com..."), "...[redacted:email]...");
    assert_eq!(redacted("ada@example.com-next"), "[redacted:email]-next");
    assert_eq!(redacted("联系ada@example.com请"), "联系[redacted:email]请");
    assert_eq!(redacted("https://ada@example.com/x"), "https://[redacted:email]/x");
    assert_eq!(redacted(r#"{"to":"ada@example.com"}"#), r#"{"to":"[redacted:email]"}"#);
}

#[test]
fn other_texts_are_no_email_addresses() {
    for text in [
        "@ada",
        "ada@",
        "ada@localhost",
        "ada@example",
        "look at example.com",
        "icon@2x.png",
        "lodash@4.17.21",
        "actions/checkout@v4",
        "git@github.com:team/project.git",
        "a @ b.com",
        "x@y.z",
        "look (at this) dot",
    ] {
        is_nothing(text);
    }
}

#[test]
fn rules_follow_the_configuration() {
    let config = r#"{"action":"flag","actions":{"card":"block","phone":"off"},"allow":["*@EXAMPLE.com"]}"#;
    let policy = Pii::configure(config).unwrap();
    let judge = |text: &str| policy.evaluate(&Subject::text(Stage::Input, text)).unwrap();
    assert_eq!(judge("ada@example.com, +44 20 7946 0958").decision, Decision::Allow);
    assert_eq!(judge("ada@example.org").decision, Decision::Flag);
    assert_eq!(judge("ada@example.org 4111111111111111").decision, Decision::Block("card".to_owned()));
    let rules: Vec<String> = policy.rules().into_iter().map(|rule| rule.id).collect();
    assert_eq!(rules, ["card", "iban", "us-ssn", "email"]);
}
