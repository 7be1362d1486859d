//! What providers of chat completions have in common: the exchange over HTTP, server-sent events, the chunks of an
//! answer put together, the conversation as it is written into a request, and what a status means.
//!
//! Everything but the exchange itself (`http`, in the sandbox alone) is pure and tested natively.

pub mod answer;
pub mod base_url;
pub mod chunk;
pub mod conversation;
#[cfg(target_family = "wasm")]
pub mod http;
pub mod sse;
pub mod status;
