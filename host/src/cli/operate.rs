//! Commands that read or change an installation's state: carried out by the server that runs on it, or here when none
//! does.

use std::pin::pin;
use std::process::ExitCode;

use tokio::sync::mpsc;

use super::{CliError, NOT_SO};
use crate::admin_socket::{Answer, AskError, Request, ask};
use crate::backtest::Progress;
use crate::config::Config;
use crate::server::{Maintenance, StartError};

/// What became of a request: its answer, or the exit status of a refusal, which has been said on standard error.
pub(super) fn operate(config: Config, request: Request) -> Result<Result<Answer, ExitCode>, CliError> {
    operate_with(config, request, &mut |_| ())
}

/// The same, for a command that takes a while: `tell` hears how far it is.
pub(super) fn operate_with(
    config: Config,
    request: Request,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Result<Answer, ExitCode>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(carried_out(config, request, tell))? {
        Answer::Refused { reason } => {
            eprintln!("gavel: {reason}");
            Ok(Err(ExitCode::from(NOT_SO)))
        }
        Answer::Failed { reason } => Err(CliError::Failed(reason)),
        done => Ok(Ok(done)),
    }
}

async fn carried_out(
    config: Config,
    request: Request,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Answer, OperateError> {
    if let Some(answer) = ask(&config.data_dir, &request, tell).await? {
        return Ok(answer);
    }
    let maintenance = Maintenance::open(&config).await?;
    let (progress, mut reached) = mpsc::channel(1);
    let answer = {
        let mut done = pin!(maintenance.operator().carry_out(request, progress));
        loop {
            tokio::select! {
                answer = &mut done => break answer,
                Some(progress) = reached.recv() => tell(&progress),
            }
        }
    };
    maintenance.close().await;
    Ok(answer)
}

/// Why a request was not carried out by anyone.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperateError {
    #[error("the running server: {0}")]
    Ask(#[from] AskError),
    #[error("no server runs, and the installation cannot be opened: {0}")]
    Open(#[from] StartError),
}

impl From<OperateError> for CliError {
    fn from(error: OperateError) -> Self {
        Self::Failed(error.to_string())
    }
}
