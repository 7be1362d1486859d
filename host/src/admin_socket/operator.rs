//! Carries an operator's requests out, wherever they come from.

use std::time::Duration;

use gavel_log::Hash;
use gavel_store::User;
use tokio::sync::mpsc;

use super::plugins::answered;
use super::{Answer, Judges, PluginsAtHand, Request, UserSummary};
use crate::auth::{Access, Token, UserError};
use crate::backtest::{BacktestError, Backtests, Bounds, Progress, Question, Report};
use crate::replay::ReplayError;
use crate::vault::{RotateError, Rotated, Rotation};

/// How often a long command says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What may be done to an installation from its command line. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    access: Access,
    rotation: Rotation,
    judges: Judges,
    plugins: PluginsAtHand,
}

impl Operator {
    /// An operator of the installation that these parts belong to.
    #[must_use]
    pub(crate) fn new(access: Access, rotation: Rotation, judges: Judges, plugins: PluginsAtHand) -> Self {
        Self { access, rotation, judges, plugins }
    }

    /// Does what is asked, and says what became of it. `progress` is told how far a long command is, as far as it listens.
    pub async fn carry_out(&self, request: Request, progress: mpsc::Sender<Progress>) -> Answer {
        let done = match request {
            Request::AddUser { name, role } => self.access.add_user(name, role).await.map(token),
            Request::RenewUser { name } => self.access.renew_user(name).await.map(token),
            Request::ListUsers {} => self
                .access
                .users()
                .map(|users| Answer::Users { users: users.into_iter().map(UserSummary::from).collect() }),
            Request::RevokeUser { name } => self.access.revoke_user(name).await.map(|()| Answer::Done {}),
            Request::RotateVault { new_key } => return rotated(self.rotation.rotate(new_key).await),
            Request::Replay { leaf } => return self.replayed(&leaf).await,
            Request::Backtest { policy, candidate, config, agent, since, until } => {
                // An operator reads no texts, whoever owns the agents.
                let (bounds, viewer) = (Bounds::default(), None);
                let question = Question { policy, candidate, config, agent, since, until, bounds, viewer };
                return self.backtested(question, progress).await;
            }
            Request::InstallPlugin { file, signature } => return answered(self.plugins.install(file, signature).await),
            Request::PullPlugin { reference } => return answered(self.plugins.pull(&reference).await),
            Request::ListPlugins {} => return answered(self.plugins.list().await),
            Request::RemovePlugin { plugin } => return answered(self.plugins.remove(&plugin).await),
            Request::PurgePlugins { dry_run } => return answered(self.plugins.purge(dry_run).await),
            Request::ApprovePlugin { plugin } => return answered(self.plugins.approve(&plugin).await),
        };
        done.unwrap_or_else(|error| refusal(&error))
    }
}

impl Operator {
    async fn replayed(&self, leaf: &Hash) -> Answer {
        let replays = match self.judges.replays().await {
            Ok(replays) => replays,
            Err(reason) => return Answer::Failed { reason },
        };
        match replays.leaf(leaf).await {
            Ok(leaf) => Answer::Replayed { leaf: Box::new(leaf) },
            Err(error @ ReplayError::NoLeaf(_)) => Answer::Refused { reason: error.to_string() },
            Err(error) => {
                tracing::error!(%error, "a verdict could not be computed again");
                Answer::Failed { reason: error.to_string() }
            }
        }
    }
}

impl Operator {
    async fn backtested(&self, question: Question, progress: mpsc::Sender<Progress>) -> Answer {
        let backtests = match self.judges.backtests().await {
            Ok(backtests) => backtests,
            Err(reason) => return Answer::Failed { reason },
        };
        match told(&backtests, question, progress).await {
            Ok(report) => Answer::Backtested { report: Box::new(report) },
            Err(error) if error.is_refusal() => Answer::Refused { reason: error.in_words() },
            Err(error) => {
                tracing::error!(%error, "a history could not be judged again");
                Answer::Failed { reason: error.to_string() }
            }
        }
    }
}

/// Judges a history again, and tells how far it is.
async fn told(
    backtests: &Backtests,
    question: Question,
    progress: mpsc::Sender<Progress>,
) -> Result<Report, BacktestError> {
    let mut backtest = backtests.begin(question).await?;
    loop {
        match tokio::time::timeout(PROGRESS_EVERY, backtest.report()).await {
            Ok(report) => return report,
            // Whoever does not keep up hears of the next step.
            Err(_) => drop(progress.try_send(backtest.progress())),
        }
    }
}

fn token((user, token): (User, Token)) -> Answer {
    Answer::Token { user: user.into(), token: token.expose().to_owned() }
}

fn rotated(outcome: Result<Rotated, RotateError>) -> Answer {
    match outcome {
        Ok(Rotated { name, data_keys, file }) => Answer::Rotated { master_key: name, data_keys, file },
        Err(error) if error.is_refusal() => Answer::Refused { reason: error.to_string() },
        Err(error) => {
            tracing::error!(%error, "the master key could not be changed");
            Answer::Failed { reason: error.to_string() }
        }
    }
}

fn refusal(error: &UserError) -> Answer {
    let reason = error.to_string();
    match error {
        UserError::Store(_) => {
            tracing::error!(%error, "an operator's request failed");
            Answer::Failed { reason }
        }
        _ => Answer::Refused { reason },
    }
}
