//! The bindings that a turn takes, and what has to be durable before a record names them.

use std::sync::Arc;

use gavel_store::Agent;

use super::{Refused, TurnError, Turns};
use crate::plugins::BoundSet;

impl Turns {
    /// The operator's bindings and the agent's own, with their configurations stored: a record names a configuration by
    /// its digest, so what it names has to be there before it is sealed.
    pub(super) async fn bound(&self, agent: &Agent) -> Result<Arc<BoundSet>, Refused> {
        let set = self.plugins.bind_all(&self.options.mandatory, &agent.policies).await?;
        if !set.is_recorded() {
            for binding in &set.bindings {
                let policy = &binding.policy;
                if self.store.config(&policy.config_digest).map_err(TurnError::from)?.is_none() {
                    let kept = self.store.keep_config(&policy.config_digest, policy.config_json()).await;
                    kept.map_err(TurnError::from)?;
                }
            }
            set.set_recorded();
        }
        Ok(set)
    }
}
