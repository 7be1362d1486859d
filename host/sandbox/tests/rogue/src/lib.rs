//! A provider that tries what it may not. What it does is the request's `model`, with the first text as its argument.

#[cfg(target_family = "wasm")]
mod http;
#[cfg(target_family = "wasm")]
mod rogue;
