//! What Gavel does for those who use it, told as they would tell it. Each module is a theme, each test a story; the
//! actors and their verbs are in the harness, `gavel_tests`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story's helpers fail by panicking, as the stories do"
)]

#[path = "../../host/sandbox/tests/components/mod.rs"]
mod components;

mod agents;
mod api_keys;
mod attachments;
mod authorisation;
mod authors;
mod backtest;
mod buckets;
mod changes;
mod checkpoints;
mod command_line;
mod completions;
mod crash;
mod deleting;
mod enforcing;
mod evaluate;
mod faults;
mod files;
mod frames;
mod front_door;
#[cfg(target_os = "linux")]
mod full_disk;
mod grants;
mod guests;
mod guide;
mod hostile;
mod hot_swap;
mod idempotency;
mod mandatory;
mod metrics;
mod no_way_around;
mod oidc;
mod openai_clients;
mod openapi;
mod plugin_commands;
mod plugin_files;
mod plugins;
mod policies;
mod portal;
mod privacy;
mod proofs;
mod public_log;
mod queue;
mod quota;
mod reasoning;
mod registries;
mod replay;
mod restoring;
mod rotation;
mod shutdown;
mod signatures;
mod sockets;
mod splits;
mod system_prompt;
mod templates;
mod tools;
mod traces;
mod transparent;
mod users;
mod vault;
mod verdicts;
mod workers_ai;
mod zoo;
