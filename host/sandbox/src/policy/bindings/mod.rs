//! The policy interface, one module for each version that was ever released.
//!
//! The sandbox speaks the newest. A version that is no longer the newest keeps its module, with conversions to and from
//! the newest one's types, so that components built against it go on working. Which one a component needs, its exports
//! say: [`Version`](crate::interface::Version).

mod v0_1;

pub(super) use v0_1::{edits, policy, streaming, verdict};
