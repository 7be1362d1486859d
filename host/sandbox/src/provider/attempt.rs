//! A chat from its first attempt to its end: fresh instances, retries before the first delta, one result.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{SetOnce, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use wasmtime::Store;

use super::bindings::exports::gavel::plugin::provider as wit;
use super::bindings::{ProviderPlugin, ProviderPluginPre};
use super::chat::{Completion, Delta, Model};
use super::error::{ProviderError, detail};
use super::grant::Grant;
use super::guest::{DeltaSink, Guest, instantiate, within};
use super::ledger::{Ledger, Stop};
use super::limits::{SHORT_RETRY_AFTER, TRIAL};
use super::outbound::{Caller, Outbound};
use super::runtime::{ProviderBinding, Shared};

/// Most models of a list; further ones are left out.
const MAX_MODELS: usize = 4096;
const COMPUTED_TOO_LONG: &str = "it computed longer than it may";

/// What a chat runs on.
pub(super) struct Chat {
    pub(super) shared: Arc<Shared>,
    pub(super) binding: Arc<ProviderBinding>,
    /// Nothing is sent before this is known.
    pub(super) caller: Arc<SetOnce<Caller>>,
}

/// A configured instance that waits for its chat.
struct Ready {
    store: Store<Guest>,
    plugin: ProviderPlugin,
    /// How long it may still compute.
    left: Duration,
}

/// A failed attempt.
struct Failure {
    error: ProviderError,
    /// Whether another attempt may help, and how long to wait first where the upstream says.
    again: Option<Option<Duration>>,
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self { error, again: None }
    }
}

/// Makes an instance, waits for the request, and attempts the chat until it ends, within its whole time from then on.
pub(super) async fn run(
    chat: &Chat,
    request: oneshot::Receiver<wit::Request>,
    deltas: mpsc::Sender<Delta>,
) -> Result<Completion, ProviderError> {
    let spent = async {
        chat.caller.wait().await;
        sleep(chat.shared.limits.chat).await;
    };
    tokio::select! {
        biased;
        ended = attempts(chat, request, &deltas) => ended,
        () = spent => Err(ProviderError::Timeout("the chat took longer than it may".into())),
    }
}

async fn attempts(
    chat: &Chat,
    request: oneshot::Receiver<wit::Request>,
    deltas: &mpsc::Sender<Delta>,
) -> Result<Completion, ProviderError> {
    let mut ready = prepare(chat, deltas).await;
    let request = request.await.map_err(|_| ProviderError::Cancelled)?;
    chat.require_key()?;
    let mut pause = chat.shared.limits.backoff;
    let mut left = chat.shared.limits.retries;
    loop {
        let outcome = match ready {
            Ok(ready) => attempt(chat, ready, &request, deltas).await,
            Err(failure) => Err(failure),
        };
        let Failure { error, again } = match outcome {
            Ok(completion) => return Ok(completion),
            Err(failure) => failure,
        };
        let Some(asked) = again.filter(|_| left > 0) else { return Err(error) };
        left -= 1;
        tracing::debug!(provider = %chat.binding.component().manifest().name, %error, "trying again");
        sleep(with_jitter(asked.unwrap_or(pause))).await;
        pause = pause.saturating_mul(2);
        ready = prepare(chat, deltas).await;
    }
}

/// The pause and up to as much again, so that chats that failed together do not come back together.
fn with_jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.saturating_add(pause.mul_f64(f64::from(random) / f64::from(u32::MAX)))
}

async fn prepare(chat: &Chat, deltas: &mpsc::Sender<Delta>) -> Result<Ready, Failure> {
    let sink = DeltaSink { deltas: deltas.clone(), max_bytes: chat.shared.limits.delta_bytes, began: false };
    let (store, plugin) =
        instantiate(&chat.shared.engine, chat.binding.component().pre(), chat.guest(Some(sink))).await;
    let mut store = store;
    let plugin = plugin.map_err(|error| trapped(&error))?;
    let mut left = chat.shared.limits.compute;
    let configured = within(&chat.shared.lane, &mut left, chat.configure(&plugin, &mut store)).await;
    configured.unwrap_or_else(|| Err(ProviderError::Trap(COMPUTED_TOO_LONG.into())))?;
    Ok(Ready { store, plugin, left })
}

async fn attempt(
    chat: &Chat,
    ready: Ready,
    request: &wit::Request,
    deltas: &mpsc::Sender<Delta>,
) -> Result<Completion, Failure> {
    let Ready { mut store, plugin, mut left } = ready;
    let called =
        within(&chat.shared.lane, &mut left, plugin.gavel_plugin_provider().call_chat(&mut store, request)).await;
    let called = called.ok_or_else(|| ProviderError::Trap(COMPUTED_TOO_LONG.into()))?;
    let answered = called.map_err(|error| trapped(&error))?;
    let began = store.data().began();
    answered.map(Into::into).map_err(|error| {
        let stop = store.data().ledger().stop();
        chat.failure(error, stop, began, deltas.is_closed())
    })
}

/// The models that the provider lists.
pub(super) async fn models(chat: &Chat) -> Result<Vec<Model>, ProviderError> {
    chat.require_key()?;
    let (mut store, plugin) = instantiate(&chat.shared.engine, chat.binding.component().pre(), chat.guest(None)).await;
    let plugin = plugin.map_err(|error| trapped(&error))?;
    let mut left = chat.shared.limits.compute;
    let called = within(&chat.shared.lane, &mut left, async {
        chat.configure(&plugin, &mut store).await?;
        plugin.gavel_plugin_provider().call_models(&mut store).await.map_err(|error| trapped(&error))
    });
    let listed = called.await.unwrap_or_else(|| Err(ProviderError::Trap(COMPUTED_TOO_LONG.into())))?;
    let listed = listed.map_err(|error| chat.failure(error, store.data().ledger().stop(), false, false).error)?;
    Ok(listed.into_iter().take(MAX_MODELS).map(Into::into).collect())
}

/// Calls a fresh instance that may send nothing anywhere; the error is words for a log.
pub(super) async fn trial<T>(
    shared: &Arc<Shared>,
    pre: &ProviderPluginPre<Guest>,
    call: impl AsyncFnOnce(&ProviderPlugin, &mut Store<Guest>) -> wasmtime::Result<T>,
) -> Result<T, String> {
    let nothing = Grant { origins: Vec::new(), credential: None, allow_private: false };
    let nobody = Arc::new(SetOnce::new_with(Some(Caller { key: None, observer: None })));
    let guest = Guest::new(shared.outbound(Arc::new(nothing), nobody), None);
    let mut left = TRIAL;
    let called = within(&shared.lane, &mut left, async {
        let (mut store, plugin) = instantiate(&shared.engine, pre, guest).await;
        call(&plugin?, &mut store).await
    });
    match timeout(TRIAL, called).await {
        Ok(Some(result)) => result.map_err(|error| detail(&error.root_cause().to_string(), None)),
        Ok(None) | Err(_) => Err("it took too long".into()),
    }
}

fn trapped(error: &wasmtime::Error) -> ProviderError {
    ProviderError::Trap(detail(&error.root_cause().to_string(), None))
}

impl Shared {
    fn outbound(&self, grant: Arc<Grant>, caller: Arc<SetOnce<Caller>>) -> Outbound {
        let ledger = Arc::new(Ledger::new(self.limits.response_bytes));
        Outbound { clients: self.clients.clone(), limits: self.limits.clone(), grant, caller, ledger }
    }
}

impl Chat {
    fn guest(&self, sink: Option<DeltaSink>) -> Guest {
        Guest::new(self.shared.outbound(self.binding.grant.clone(), self.caller.clone()), sink)
    }

    fn key(&self) -> Option<&SecretString> {
        self.caller.get()?.key.as_deref()
    }

    fn require_key(&self) -> Result<(), ProviderError> {
        let unusable = |why| Err(ProviderError::NoKey(why));
        match (&self.binding.grant.credential, self.key()) {
            (Some(credential), None) if credential.required => unusable("there is no key for the agent's provider"),
            (Some(credential), Some(key)) if credential.value(key).is_none() => {
                unusable("the key for the agent's provider holds characters that no header may")
            }
            _ => Ok(()),
        }
    }

    async fn configure(&self, plugin: &ProviderPlugin, store: &mut Store<Guest>) -> Result<(), ProviderError> {
        let configured = plugin.gavel_plugin_provider().call_configure(store, &self.binding.config).await;
        let refused = |why: String| {
            ProviderError::Trap(format!("`configure` refused what it took before: {}", detail(&why, None)))
        };
        configured.map_err(|error| trapped(&error))?.map_err(refused)
    }

    /// What the guest's error means, corrected by what the host itself knows.
    fn failure(&self, error: wit::Error, stop: Option<Stop>, began: bool, closed: bool) -> Failure {
        let words = |words: &str| detail(words, self.key());
        let broken =
            |why: String| if began { ProviderError::Interrupted(why) } else { ProviderError::Unavailable(why) };
        match (error, stop) {
            (wit::Error::Cancelled, _) if closed => ProviderError::Cancelled.into(),
            (wit::Error::Unauthorized(why), _) => ProviderError::Unauthorized(words(&why)).into(),
            (wit::Error::RateLimited(after), _) => {
                let after = after.map(Duration::from_millis);
                let short = after.filter(|after| !began && *after <= SHORT_RETRY_AFTER);
                Failure { error: ProviderError::RateLimited(after), again: short.map(Some) }
            }
            (_, Some(Stop::Timeout(why))) => ProviderError::Timeout(why.into()).into(),
            (_, Some(Stop::NotGranted(origin))) => broken(format!("origin not granted: {}", words(&origin))).into(),
            (_, Some(Stop::Private(origin))) => broken(format!("private address refused: {}", words(&origin))).into(),
            (_, Some(Stop::TooLarge(why))) => broken(why.into()).into(),
            (wit::Error::InvalidRequest(why), _) => ProviderError::InvalidRequest(words(&why)).into(),
            (wit::Error::Interrupted(why), _) => ProviderError::Interrupted(words(&why)).into(),
            (wit::Error::Unavailable(why), _) => {
                Failure { error: broken(words(&why)), again: (!began).then_some(None) }
            }
            (wit::Error::Cancelled, _) => broken("the provider gave up".into()).into(),
        }
    }
}
