//! What wit-bindgen makes of `wit/`, one module for each world, and how it becomes this crate's own types.
//!
//! Nothing here is for plugin authors: the traits and types of this crate stand in front of it, so that a new
//! version of the interface need not change them. Conversions move strings and never copy them.

mod conversation;
mod judgement;
mod provision;

pub(crate) use provision::send;

pub use gavel_sdk_policy_world as policy_plugin;

/// A policy that also judges texts under way.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]
pub mod streaming_policy_plugin {
    wit_bindgen::generate!({
        world: "streaming-policy-plugin",
        path: "../wit",
        pub_export_macro: true,
        default_bindings_module: "gavel_sdk::bindings::streaming_policy_plugin",
        with: { "gavel:plugin/types@0.1.0": gavel_sdk_policy_world::gavel::plugin::types },
    });
}

/// A model provider.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]
pub mod provider_plugin {
    wit_bindgen::generate!({
        world: "provider-plugin",
        path: "../wit",
        pub_export_macro: true,
        default_bindings_module: "gavel_sdk::bindings::provider_plugin",
        with: { "gavel:plugin/types@0.1.0": gavel_sdk_policy_world::gavel::plugin::types },
    });
}
