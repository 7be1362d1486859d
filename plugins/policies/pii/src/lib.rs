//! The bundled policy `pii`: finds personal data, and redacts it unless configured otherwise.
//!
//! Each rule is a detector of its own file, a function from a cursor to what it found. They are strict where
//! strictness costs no recall (check digits, issuer ranges, national formats) and lenient where people and
//! evaders are inventive (separators, invisible characters, digits of other scripts).

mod card;
mod email;
mod iban;
mod phone;
mod signs;
mod ssn;

use gavel_sdk::policy::Severity;
use gavel_sdk::scan::{ByteSet, Detector, Scan, ScanPolicy};

/// What the policy looks for.
#[derive(Debug)]
pub struct PersonalData;

impl Scan for PersonalData {
    const NAME: &'static str = "pii";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "Finds e-mail addresses, phone numbers, payment cards, bank accounts and US social security numbers.";

    fn detectors() -> Vec<Detector> {
        let not_in_word = ByteSet::ALPHANUMERIC.complement();
        vec![
            Detector::new("card", "A payment card number.", card::find)
                .starts(signs::DIGIT_STARTS)
                .follows(ByteSet::DIGITS.complement())
                .reach(256)
                .severity(Severity::High)
                .example("4111 1111 1111 1111"),
            Detector::new("iban", "An international bank account number (IBAN).", iban::find)
                .starts(ByteSet::LETTERS)
                .follows(not_in_word)
                .reach(256)
                .severity(Severity::High)
                .example("DE89 3704 0044 0532 0130 00"),
            Detector::new("us-ssn", "A US social security number.", ssn::find)
                .starts(signs::DIGIT_STARTS)
                .follows(not_in_word)
                .reach(64)
                .severity(Severity::High)
                .example("536-90-4399"),
            Detector::new("phone", "A phone number.", phone::find)
                .starts(signs::DIGIT_STARTS.and(ByteSet::of(b"+(")))
                .follows(not_in_word.without(ByteSet::of(b"+")))
                .reach(128)
                .example("(555) 234-5678"),
            Detector::new("email", "An e-mail address.", email::find)
                .starts(email::STARTS)
                .follows(email::LOCAL.complement())
                .reach(400)
                .example("ada@example.com"),
        ]
    }
}

/// The policy.
pub type Pii = ScanPolicy<PersonalData>;

gavel_sdk::export_streaming_policy!(Pii);
