//! Gavel's server: an HTTP and WebSocket edge over governed turns, and the `gavel` command line.
//!
//! Data flows one way: edge ([`api`]) → [`agent`] → [`turn`] → sandbox → log → store. Nothing below knows of
//! what is above it.

pub mod admin_socket;
pub mod agent;
pub mod api;
pub mod auth;
pub mod backtest;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod files;
mod object;
mod one_each;
pub mod plugins;
pub mod quota;
pub mod random;
pub mod replay;
mod schema;
pub mod server;
pub mod tasks;
pub mod telemetry;
pub mod turn;
pub mod vault;
pub mod verdicts;
