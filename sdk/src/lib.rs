//! Write Gavel policies and model providers in Rust.
//!
//! A plugin is a WebAssembly component. Implement [`Policy`], [`StreamingPolicy`] or [`Provider`], export it
//! with the macro of that name, and build the crate (`crate-type = ["cdylib", "rlib"]`) with
//! `cargo build --target wasm32-wasip2`. On other targets the macro exports nothing, so the same crate is
//! unit-tested with `cargo test`. A whole policy:
//!
//! ```
//! use gavel_sdk::policy::{Manifest, Policy, Rule, Severity, Subject, Verdict};
//!
//! /// Forbids texts that are mostly capitals.
//! struct NoShouting;
//!
//! impl Policy for NoShouting {
//!     fn manifest() -> Manifest {
//!         Manifest::new("no-shouting", "1.0.0", "Forbids texts that are mostly capitals.")
//!     }
//!
//!     fn configure(_: &str) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn rules(&self) -> Vec<Rule> {
//!         vec![Rule::new("shouting", "Please write without capitals.")]
//!     }
//!
//!     fn evaluate(&self, subject: &Subject) -> Result<Verdict, String> {
//!         let (letters, capitals) = subject.text.chars().filter(|c| c.is_alphabetic()).fold((0, 0), |(all, up), c| {
//!             (all + 1, up + usize::from(c.is_uppercase()))
//!         });
//!         let shouts = letters > 20 && capitals * 2 > letters;
//!         Ok(if shouts { Verdict::block("shouting", Severity::Low, "mostly capitals") } else { Verdict::allow() })
//!     }
//! }
//!
//! gavel_sdk::export_policy!(NoShouting);
//!
//! # use gavel_sdk::policy::{Decision, Stage};
//! let policy = NoShouting::configure("{}")?;
//! let verdict = policy.evaluate(&Subject::text(Stage::Input, "WHY DOES NOBODY ANSWER ME"))?;
//! assert_eq!(verdict.decision, Decision::Block("shouting".to_owned()));
//! # Ok::<(), String>(())
//! ```
//!
//! A policy that looks for patterns is better written with [`scan`], which makes it a streaming one for nothing.

pub mod policy;
pub mod provider;
pub mod scan;
pub mod testing;
pub mod types;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod export;
#[doc(hidden)]
pub mod guest;

pub use policy::{Policy, StreamingPolicy};
pub use provider::Provider;
