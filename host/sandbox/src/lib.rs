//! The sandboxes that strangers' WebAssembly runs in.
//!
//! A *policy* gets no capability at all; a *provider* gets standard outgoing HTTP to the origins that the operator
//! granted. The two have engines and pools of their own.

mod cache;
mod compiler;
mod functions;
mod inspect;
mod interface;
mod lane;
pub mod policy;
mod pool;
pub mod provider;
mod schema;
mod ticker;

pub use cache::CodeCache;
pub use inspect::{Interfaces, NotAPlugin, World};
pub use pool::Pool;
pub use schema::ConfigFault;

/// Most bytes of a plugin's name.
const NAME_BYTES: usize = 64;

/// A plugin's name is kebab-case and short.
///
/// # Errors
/// In words, if it is not.
pub fn check_plugin_name(name: &str) -> Result<(), String> {
    let valid = name.len() <= NAME_BYTES
        && name
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    if valid { Ok(()) } else { Err("the name is not kebab-case of 1 to 64 characters".into()) }
}

/// The version of wasmtime that computes verdicts: records name it.
pub const WASMTIME_VERSION: &str = "48.0.8";
