//! The bundled policy `secrets`: finds credentials, and redacts them unless configured otherwise.
//!
//! Most credentials say what they are by a prefix; some carry a checksum. Those that do not are found by the
//! name that they are given (`password = …`) and by looking random.

mod crc;
mod github;
mod jwt;
mod key_block;
mod named;
mod randomness;
mod tokens;

use gavel_sdk::policy::Severity;
use gavel_sdk::scan::{ByteSet, Detector, Scan, ScanPolicy};

/// What the policy looks for.
#[derive(Debug)]
pub struct Credentials;

/// What a token can be made of, whoever issues it: one does not begin within another.
const WORD: ByteSet = ByteSet::ALPHANUMERIC.and(ByteSet::of(b"_"));

impl Scan for Credentials {
    const NAME: &'static str = "secrets";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Finds private keys, access tokens, API keys and passwords.";

    fn detectors() -> Vec<Detector> {
        let mut detectors = vec![
            Detector::new("private-key", "A private key.", key_block::find)
                .starts(ByteSet::of(b"-"))
                .follows(ByteSet::of(b"-").complement())
                .reach(key_block::REACH)
                .severity(Severity::Critical)
                .example("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"),
            Detector::new("aws-secret-key", "An AWS secret access key.", named::aws_secret_key)
                .starts(named::STARTS)
                .follows(named::NAME.complement())
                .reach(named::REACH)
                .severity(Severity::Critical),
            Detector::new("github-token", "A GitHub token.", github::find)
                .starts(ByteSet::of(b"g"))
                .follows(WORD.complement())
                .reach(128)
                .severity(Severity::High),
            Detector::new("jwt", "A JSON Web Token.", jwt::find)
                .starts(ByteSet::of(b"e"))
                .follows(WORD.complement())
                .reach(jwt::REACH)
                .severity(Severity::High)
                .example("eyJhbGciOiJub25lIn0.e30.AAAAAAAAAAAAAAAA"),
        ];
        detectors.extend(tokens::detectors());
        detectors.push(
            Detector::new("generic", "A password, token or key, by its name.", named::generic)
                .starts(named::STARTS)
                .follows(named::NAME.complement())
                .reach(named::REACH)
                .severity(Severity::High)
                .example("token = 4f9a0c77b1e8d2356a"),
        );
        detectors
    }
}

/// The policy.
pub type Secrets = ScanPolicy<Credentials>;

gavel_sdk::export_streaming_policy!(Secrets);
