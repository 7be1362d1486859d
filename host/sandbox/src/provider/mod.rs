//! The provider sandbox: WebAssembly components that speak to model providers over HTTP that the host performs.
//!
//! A provider has real clocks and randomness and nothing else of the machine: no files, sockets, environment or
//! standard streams. Its requests go to granted origins only, and the host adds the key, so a guest never sees one.
//!
//! Invariants:
//! - A chat runs in an instance of its own; nothing of one chat reaches another.
//! - A request leaves only if its origin equals a granted one, and reaches a special-purpose address only if the grant
//!   allows private ones, whatever name led there.
//! - Every wait has a deadline, every size a bound, every queue a limit ([`ProviderLimits`]).
//! - Nothing is tried again once a delta was sent.
//! - Dropping a [`ChatStream`] ends the guest and closes its connections.

mod address;
mod attempt;
mod bindings;
mod body;
mod chat;
mod clients;
mod convert;
mod error;
mod grant;
mod guest;
mod ledger;
mod limits;
mod manifest;
mod observe;
mod origin;
mod outbound;
mod reach;
mod runtime;
mod stream;
mod world;

pub use chat::{
    ChatRequest, Completion, Delta, FinishReason, Media, Message, Model, Part, ResultPart, Role, Tool, ToolChoice,
    Usage,
};
pub use error::{BindError, LoadError, MAX_DETAIL_BYTES, ProviderError, RuntimeError};
pub use grant::{CredentialGrant, Grant, GrantError};
pub use limits::ProviderLimits;
pub use manifest::{Asks, CredentialRequest, Manifest, ManifestError};
pub use observe::UpstreamObserver;
pub use origin::{Origin, OriginError};
pub use reach::{Prohibited, Reach};
pub use runtime::{ProviderBinding, ProviderComponent, ProviderPermit, ProviderRuntime};
pub use stream::{ChatStream, ReadyChat};
