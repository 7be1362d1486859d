//! What wit-bindgen makes of the world `policy-plugin`, for `gavel-sdk` alone.
//!
//! A crate of its own because wit-bindgen names its exported macros after the interface: two worlds that export
//! `policy` cannot be generated in one crate. Empty but on WebAssembly.
#![cfg(target_family = "wasm")]
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]

wit_bindgen::generate!({
    world: "policy-plugin",
    path: "../../wit",
    pub_export_macro: true,
    default_bindings_module: "gavel_sdk_policy_world",
});
