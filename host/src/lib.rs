//! Gavel's server.
