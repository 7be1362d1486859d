//! How long a text of 360 bytes takes, natively.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use gavel_policy_secrets::Secrets;
use gavel_sdk::policy::{Policy, Stage, Subject};

const TEXT: &str = "Thank you for your order. We have charged the card 4111 1111 1111 1111 that you gave us and will send the \
    parcel within three working days. If anything is missing, please write to support@example.com and tell us the \
    number of the order; one of our people will look into it on the same day. You may send things back within a \
    month, for any reason at all, and get back.";

fn main() {
    let policy = Secrets::configure("{}").unwrap();
    let subject = Subject::text(Stage::Output, TEXT);
    let rounds = 20_000;
    for _ in 0..2 {
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(policy.evaluate(black_box(&subject)).unwrap());
        }
        println!("{} bytes: {} ns", TEXT.len(), start.elapsed().as_nanos() / rounds);
    }
}
