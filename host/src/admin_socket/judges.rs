//! Who judges stored texts again for an operator: a running server's parts, or parts that are opened for one command.

use std::sync::Arc;

use gavel_store::Store;

use crate::backtest::Backtests;
use crate::config::Config;
use crate::plugins::Plugins;
use crate::replay::Replays;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::vault::Vault;

/// The way to what judges. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Judges {
    /// A server's, which are there.
    Running {
        /// Computes verdicts again.
        replays: Replays,
        /// Judges histories again.
        backtests: Backtests,
    },
    /// None yet: loading plugins takes a while, and most commands need none.
    Closed {
        /// The installation's configuration.
        config: Arc<Config>,
        /// Its store.
        store: Store,
    },
}

impl Judges {
    /// Who computes verdicts again, or in words why there is none.
    pub(super) async fn replays(&self) -> Result<Replays, String> {
        match self {
            Self::Running { replays, .. } => Ok(replays.clone()),
            Self::Closed { config, store } => {
                let (vault, plugins) = open(config, store).await?;
                Ok(Replays::new(store.clone(), vault, plugins))
            }
        }
    }

    /// Who judges histories again, or in words why there is none.
    pub(super) async fn backtests(&self) -> Result<Backtests, String> {
        match self {
            Self::Running { backtests, .. } => Ok(backtests.clone()),
            Self::Closed { config, store } => {
                let (vault, plugins) = open(config, store).await?;
                Ok(Backtests::new(store.clone(), vault, plugins, Tasks::default()))
            }
        }
    }
}

async fn open(config: &Config, store: &Store) -> Result<(Arc<Vault>, Arc<Plugins>), String> {
    let vault = Vault::existing(config).map_err(|error| format!("the vault: {error}"))?;
    vault.settle(store).await.map_err(|error| format!("the vault: {error}"))?;
    let key = vault.machine_code_key();
    let plugins = Plugins::open(config, key, store.clone(), Tasks::default(), Arc::<Metrics>::default()).await;
    let plugins = plugins.map_err(|error| format!("the plugins: {error}"))?;
    Ok((Arc::new(vault), plugins))
}
