//! The issuer's keys as they are known, and when they are asked for again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::OidcError;
use super::fetch::{FetchError, Source};
use super::keys::{IssuerKey, IssuerKeys};
use crate::config::OidcConfig;
use crate::tasks::Tasks;

/// How often they are fetched whether or not anyone asks.
const REFRESH_EVERY: Duration = Duration::from_secs(600);
/// How soon after a failure in the background.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often a token that names a key nobody knows may have them fetched: anyone can make up such a token.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// The keys, fetched again as they age and when one is missing.
pub(super) struct KeySet {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    known: Mutex<Option<Arc<IssuerKeys>>>,
    /// When a token had them fetched last. Held while that goes on, so that one request asks for all that wait.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl KeySet {
    pub(super) fn new(config: &OidcConfig, tasks: &Tasks) -> Result<Self, FetchError> {
        let source = Source::new(config)?;
        let shared = Arc::new(Shared { source, known: Mutex::default(), asked: tokio::sync::Mutex::default() });
        let (refreshed, closing) = (shared.clone(), tasks.closing().clone());
        tasks.spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = refreshed.refresh_for_ever() => {}
            }
        });
        Ok(Self { shared })
    }

    /// The key of this id, asked for if it is not known.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] where no keys are known at all, [`OidcError::Invalid`] where this one is none of them.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<IssuerKey>, OidcError> {
        if let Some(key) = self.shared.known().and_then(|keys| keys.find(id)) {
            return Ok(key);
        }
        self.shared.ask(id).await;
        let keys = self.shared.known().ok_or(OidcError::Unreachable)?;
        keys.find(id).ok_or(OidcError::Invalid("the issuer has no such key"))
    }
}

impl Shared {
    fn known(&self) -> Option<Arc<IssuerKeys>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, id: Option<&str>) {
        let mut asked = self.asked.lock().await;
        // Whoever was before has asked for all that waited.
        if self.known().is_some_and(|keys| keys.find(id).is_some()) {
            return;
        }
        if asked.is_some_and(|at| at.elapsed() < ASKED_EVERY) {
            return;
        }
        let first = self.known().is_none();
        // The first keys of all are not what the pause is there for.
        if !(self.refresh().await && first) {
            *asked = Some(Instant::now());
        }
    }

    /// Whether the keys are new. Where they cannot be had, those that are known stay.
    async fn refresh(&self) -> bool {
        match self.source.keys().await {
            Ok(keys) => {
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
                true
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the issuer's keys could not be fetched");
                false
            }
        }
    }

    async fn refresh_for_ever(&self) {
        loop {
            let pause = if self.refresh().await { REFRESH_EVERY } else { RETRY_AFTER };
            tokio::time::sleep(pause).await;
        }
    }
}

/// An error with its causes: an HTTP client's own words say only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
