//! An installation that is opened for one command while no server runs on it.

use std::sync::Arc;

use gavel_store::{FILE_NAME, Store};

use super::{StartError, log_identity, open_store};
use crate::admin_socket::{Judges, Operator, PluginsAtHand};
use crate::auth::Access;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::tasks::Tasks;
use crate::vault::Rotation;

/// An installation without its server.
pub struct Maintenance {
    store: Store,
    operator: Operator,
}

impl Maintenance {
    /// Opens what the configuration's data directory holds. It makes nothing: what is made by a first start, such as the
    /// first administrator, is left to that.
    ///
    /// # Errors
    /// When there is no installation, or another process has it open.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        if !config.data_dir.join(FILE_NAME).is_file() {
            return Err(StartError::NoInstallation(config.data_dir.clone()));
        }
        let data = DataDir::open(&config.data_dir)?;
        let signer = log_identity::signing_key(&data, config.log.origin.as_deref())?;
        let store = open_store(config, &data, signer, None).await?;
        let (config, tasks) = (Arc::new(config.clone()), Tasks::default());
        let rotation = Rotation::of_installation(store.clone(), config.clone());
        let judges = Judges::Closed { config: config.clone(), store: store.clone() };
        let plugins = PluginsAtHand::of_installation(config, store.clone(), tasks.clone());
        let operator = Operator::new(Access::new(store.clone(), tasks), rotation, judges, plugins);
        Ok(Self { store, operator })
    }

    /// Who carries commands out on it.
    #[must_use]
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Closes it with everything that was written.
    pub async fn close(self) {
        super::close_store(self.store).await;
    }
}
