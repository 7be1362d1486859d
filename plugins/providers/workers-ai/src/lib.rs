//! The bundled provider `workers-ai`: Cloudflare Workers AI by its REST API, `POST …/ai/run/{model}`.
//!
//! Everything but the component itself is pure and tested natively.

#![cfg_attr(
    not(any(test, target_family = "wasm")),
    expect(dead_code, reason = "only the component calls it; natively the crate is there for its tests")
)]

mod config;
mod event;
mod models;
mod request;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(test)]
mod tests;
