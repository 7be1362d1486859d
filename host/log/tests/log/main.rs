//! Tests of the log through its public interface.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, in its helping functions too"
)]

mod edge;
mod formats;
mod judge;
mod memory;
mod proofs;
mod published;
mod records;
mod recursive;
mod sample;
mod tree;
mod vectors;
