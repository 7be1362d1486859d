//! The policy sandbox: a policy is a pure function, run in a fresh instance without capabilities.

mod bindings;
mod bound;
mod component;
mod contract;
mod guest;
mod instance;
mod limits;
mod review;
mod runtime;
mod snapshot;
mod snapshots;
mod trial;
mod wasi;

pub use bound::{BindError, BoundPolicy, Evaluation};
pub use component::{LoadError, MAX_COMPONENT_BYTES, PolicyComponent, PolicyManifest};
pub use contract::Rules;
pub use instance::CallError;
pub use limits::PolicyLimits;
pub use review::{Progress, Review};
pub use runtime::{BackgroundPermit, PolicyPermits, PolicyRuntime};
pub use trial::TrialError;
pub use wasi::Printer;
