//! The provider interface, one module for each version that was ever released.
//!
//! As for policies: the sandbox speaks the newest, and a version that is no longer the newest keeps its module, with
//! conversions to and from the newest one's types.

mod v0_1;

pub(super) use v0_1::{ProviderPlugin, ProviderPluginPre, exports, gavel};
