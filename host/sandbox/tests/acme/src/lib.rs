//! A small provider that posts to each origin that it asks for, and says that it did. Its version and origins are texts of a
//! fixed length, so that a test can write others over them. For tests alone.

#[cfg(target_family = "wasm")]
mod acme;
