//! Stands between the bindings and the traits: keeps the configured plugin and calls it. For the macros alone.

use std::cell::OnceCell;
use std::thread::LocalKey;

use crate::policy::{Policy, StreamingPolicy};
use crate::provider::Provider;

#[cfg(target_family = "wasm")]
mod policy;
#[cfg(target_family = "wasm")]
mod provider;

/// Where a component keeps its one plugin. The macros make one; generic code cannot own a static.
pub trait Slot: 'static {
    /// What is kept.
    type Plugin: 'static;

    /// The place: empty until `configure`. The plugin is never dropped, as the instance is thrown away whole.
    fn place() -> &'static LocalKey<OnceCell<&'static Self::Plugin>>;
}

/// What a component exports: the plugin in a slot, behind one world's interface.
#[derive(Debug)]
pub struct Exported<S>(std::marker::PhantomData<S>);

/// As [`Exported`], for the world with the streaming interface.
#[derive(Debug)]
pub struct ExportedStreaming<S>(std::marker::PhantomData<S>);

/// Compiles only for a policy.
pub const fn assert_policy<T: Policy>() {}

/// Compiles only for a streaming policy.
pub const fn assert_streaming_policy<T: StreamingPolicy>() {}

/// Compiles only for a provider.
pub const fn assert_provider<T: Provider>() {}

#[cfg(target_family = "wasm")]
fn keep<S: Slot>(plugin: S::Plugin) -> Result<&'static S::Plugin, String> {
    S::place().with(|place| {
        let plugin: &'static S::Plugin = Box::leak(Box::new(plugin));
        place.set(plugin).map_err(|_| "configured twice".to_owned())?;
        Ok(plugin)
    })
}

#[cfg(target_family = "wasm")]
fn kept<S: Slot>() -> Option<&'static S::Plugin> {
    S::place().with(|place| place.get().copied())
}
