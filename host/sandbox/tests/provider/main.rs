//! The provider sandbox with the bundled `openai` component, with one that tries what it may not, and with an upstream
//! in this process.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../components/mod.rs"]
mod components;
mod house;
mod upstream;

mod chat;
mod confinement;
mod outbound;
mod released;
