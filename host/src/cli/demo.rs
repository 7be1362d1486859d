//! `gavel demo`: the main job in one go, offline, over the same HTTP and WebSocket as any client's.

mod client;
mod story;

use std::io::Write as _;
use std::process::ExitCode;

use super::CliError;
use crate::config::Config;
use crate::server::Server;

/// The demo provider's pause between two deltas.
const DELAY_MS: u64 = 10;

/// See the main job in one go, offline.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel demo --keep")]
pub(super) struct Args {
    /// Leave the server running afterwards
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args.keep))?;
    Ok(ExitCode::SUCCESS)
}

async fn demo(keep: bool) -> Result<(), CliError> {
    let directory = tempfile::tempdir()?;
    let mut config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        data_dir: directory.path().to_owned(),
        ..Config::default()
    };
    if let Some(provider) = config.providers.get_mut("demo") {
        // Slow enough to be watched, and for a policy to be replaced in the middle of an answer.
        provider.config = serde_json::json!({ "delay_ms": DELAY_MS });
    }
    let server = Server::start(config).await?;
    let told = story::tell(&server, directory.path())
        .await
        .map_err(|error| CliError::Failed(format!("the demo failed: {error:#}")));
    if keep && told.is_ok() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nThe server stays at http://{}, its data in {}", server.addr(), directory.path().display())?;
        writeln!(out, "Press Ctrl-C to end it.")?;
        drop(out);
        tokio::signal::ctrl_c().await?;
    }
    server.shutdown().await;
    told
}
