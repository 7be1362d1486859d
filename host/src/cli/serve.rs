//! `gavel serve`

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use crate::config::{self, Overrides};
use crate::server::Server;
use crate::telemetry;

/// Run the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel serve --listen 127.0.0.1:8787 --data-dir ./gavel-data")]
pub(super) struct Args {
    /// Where the API listens; port 0 takes a free one [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where health and metrics listen [default: 127.0.0.1:9787]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
    /// Where everything is kept [default: ./gavel-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file [default: gavel.toml, where it exists]
    #[arg(long, value_name = "FILE", env = "GAVEL_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let flags = Overrides { listen: args.listen, admin_listen: args.admin_listen, data_dir: args.data_dir.clone() };
    let config = config::load(args.config.as_deref(), &flags)?;
    telemetry::init(&config.log_level, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: config::Config) -> Result<(), CliError> {
    // Caught before the start, so that a signal during it is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Caught, and no more: to write beyond a limit on the size of files is then an error as on a full disk, and not the
    // server's end.
    let _file_size = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    let server = Server::start(config).await?;
    announce(&server)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("going down");
    server.shutdown().await;
    Ok(())
}

/// Says where the server listens, on standard output; and the first user's token, this once, on standard error.
fn announce(server: &Server) -> Result<(), CliError> {
    if let Some(first) = server.first_user() {
        let mut err = std::io::stderr().lock();
        writeln!(err, "made the user admin; its token, shown this once: {}", first.token.expose())?;
        writeln!(err, "it is kept in {}", first.file.display())?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "gavel listening on http://{}", server.addr())?;
    writeln!(out, "gavel admin on http://{}", server.admin_addr())?;
    out.flush()?;
    Ok(())
}
