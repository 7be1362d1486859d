//! The bundled provider `openai`: OpenAI, and whatever speaks its chat completions at a base URL of the operator's.
//!
//! Everything but the component itself is pure and tested natively.

#![cfg_attr(
    not(any(test, target_family = "wasm")),
    expect(dead_code, reason = "only the component calls it; natively the crate is there for its tests")
)]

mod config;
mod models;
mod request;

#[cfg(target_family = "wasm")]
mod component;
