//! The provider.

#![expect(clippy::panic, reason = "what it is for")]

use std::hint::black_box;

use gavel_sdk::provider::{Completion, Credential, Error, FinishReason, Manifest, Model, Provider, Request, Sink};
use gavel_sdk::types::Part;

use crate::http::get;

struct Rogue;

impl Provider for Rogue {
    fn manifest() -> Manifest {
        Manifest {
            name: "rogue".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Tries what it may not.".to_owned(),
            origins: Vec::new(),
            credential: Some(Credential {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
                required: true,
            }),
            config_schema: "{}".to_owned(),
        }
    }

    fn configure(config_json: &str) -> Result<Self, String> {
        match config_json {
            "\"refuse\"" => Err("not\nthis one".to_owned()),
            "\"loop\"" => spin(),
            url => {
                // As a provider may that needs a token first. Where it is only tried out, nothing is granted.
                let _ = get(url.trim_matches('"'));
                Ok(Self)
            }
        }
    }

    fn models(&self) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    fn chat(&self, request: Request, sink: &mut Sink<'_>) -> Result<Completion, Error> {
        match request.model.as_str() {
            "get" => sink.text(get(&argument(&request)).map_err(Error::Unavailable)?)?,
            "many" => (0..64).try_for_each(|_| get(&argument(&request)).map(drop)).map_err(Error::Unavailable)?,
            "see" => sink.text(surroundings())?,
            "large" => sink.text("x".repeat(300 << 10))?,
            "endless" => (0u64..).try_for_each(|number| sink.text(number.to_string()))?,
            "flood" => (0u64..).try_for_each(|_| sink.text("x".repeat(200 << 10)))?,
            "wait" => std::thread::sleep(std::time::Duration::from_secs(86_400)),
            "panic" => panic!("as told"),
            "spin" => spin(),
            "bomb" => eat(),
            "recurse" => drop(black_box(deeper(1))),
            "give-up" => return Err(Error::Cancelled),
            "echo-error" => return Err(Error::InvalidRequest(argument(&request))),
            _ => return Err(Error::InvalidRequest("unknown".to_owned())),
        }
        Ok(Completion { finish_reason: FinishReason::Stop, usage: None, model: None })
    }
}

fn argument(request: &Request) -> String {
    let texts = request.messages.iter().flat_map(|message| &message.parts);
    texts
        .filter_map(|part| if let Part::Text(text) = part { Some(text.clone()) } else { None })
        .next()
        .unwrap_or_default()
}

/// Everything of the machine that a guest could hope for.
fn surroundings() -> String {
    let files = std::fs::read_dir("/").map_or(0, Iterator::count);
    let mut line = String::new();
    let input = std::io::stdin().read_line(&mut line).unwrap_or(0);
    println!("nobody reads this");
    format!("env {} args {} files {files} input {input}", std::env::vars().count(), std::env::args().count())
}

fn spin() -> ! {
    let mut count = 0u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    black_box(deeper(depth + 1)) + frame.iter().sum::<u64>()
}

gavel_sdk::export_provider!(Rogue);
