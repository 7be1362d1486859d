//! One server: its parts in the order in which they start, and their end.

mod accept;
mod log_identity;
mod maintenance;
mod readings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_log::SigningKey;
use gavel_store::{Binding, CommitObserver, Store, StoreError, StoreOptions};
use tokio::net::TcpListener;

use crate::admin_socket::{self, Judges, Operator, PluginsAtHand, SOCKET_NAME};
use crate::agent::{AgentParts, Agents, Conversations, OpenTurns};
use crate::api::{self, App};
use crate::auth::{Access, BootstrapError, FetchError, FirstUser, Issuer, ensure_first_user};
use crate::backtest::Backtests;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::files::{Files, ObjectsError};
use crate::plugins::{PluginError, Plugins};
use crate::quota::{Quotas, Strangers};
use crate::replay::Replays;
use crate::tasks::Tasks;
use crate::telemetry::{Metrics, Traces, TracesError};
use crate::turn::{TurnError, TurnOptions, Turns};
use crate::vault::{RotateError, Rotation, Vault, VaultError};
use crate::verdicts::Verdicts;

pub use log_identity::LogIdentityError;
pub use maintenance::Maintenance;
use readings::Readings;

/// How long open turns may go on when the server goes down.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// How long sockets and connections may take to close after that.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The log's key or name cannot be used.
    #[error(transparent)]
    LogIdentity(#[from] LogIdentityError),
    /// The store does not open.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// There is no master key.
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    /// The master key is not the installation's, or its change could not be finished.
    #[error("the vault: {0}")]
    MasterKey(#[from] RotateError),
    /// The first user could not be made.
    #[error("the first user: {0}")]
    FirstUser(#[from] BootstrapError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The plugins cannot be used.
    #[error("the plugins: {0}")]
    Plugins(#[from] PluginError),
    /// There is nowhere to keep files.
    #[error("files: {0}")]
    Files(#[from] ObjectsError),
    /// A policy of every agent cannot be bound.
    #[error("governance.mandatory_policies: {0}")]
    Mandatory(PluginError),
    /// What a crash left open could not be sealed.
    #[error("turns that were left open: {0}")]
    Recovery(#[from] TurnError),
    /// An address cannot be listened on.
    #[error("{0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// No issuer can be asked for its keys.
    #[error("auth.oidc: {0}")]
    Issuer(#[from] FetchError),
    /// There is nothing to open.
    #[error("{} holds no installation: `gavel serve` makes one", .0.display())]
    NoInstallation(PathBuf),
    /// A part of the start panicked.
    #[error("a part of the server failed to start")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// A server that accepts requests. Dropping it ends it without grace; [`shutdown`](Self::shutdown) is kinder.
pub struct Server {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    first_user: Option<FirstUser>,
    plugins: Arc<Plugins>,
    store: Store,
    open_turns: Arc<OpenTurns>,
    tasks: Tasks,
    traces: Option<Traces>,
}

impl Server {
    /// Starts a server. When it returns, requests are accepted, and what a crash left open has been sealed.
    ///
    /// # Errors
    /// When any part cannot start; then nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let started = Instant::now();
        let config = Arc::new(config);
        let data = DataDir::open(&config.data_dir)?;
        let signer = log_identity::signing_key(&data, config.log.origin.as_deref())?;
        let log_key = Arc::new(signer.verifier_key().clone());
        let metrics = Arc::<Metrics>::default();
        let telemetry = &config.telemetry;
        let traces = Traces::start(telemetry.otlp_endpoint.as_ref(), telemetry.sample_ratio, &metrics)?;
        let store = open_store(&config, &data, signer, Some(metrics.clone())).await?;
        let vault = Arc::new(Vault::open(&config)?);
        vault.settle(&store).await?;
        let tasks = Tasks::default();
        let code_key = vault.machine_code_key();
        let plugins = Plugins::open(&config, code_key, store.clone(), tasks.clone(), metrics.clone()).await?;
        // A mandatory policy that cannot be bound must stop the server, not the agents' turns one by one.
        plugins.bind(&turn_options(&config).mandatory).await.map_err(StartError::Mandatory)?;
        let (warming, usual) = (plugins.clone(), usual_bindings(&config));
        let until = tasks.draining().clone();
        tasks.spawn(async move { until.run_until_cancelled(warming.warm_up(&usual)).await });
        let quotas = Arc::new(Quotas::new(&config));
        let turns = Arc::new(Turns::new(
            plugins.clone(),
            store.clone(),
            vault.clone(),
            quotas.clone(),
            turn_options(&config),
            metrics.clone(),
        ));
        let recovered = turns.recover().await?;
        if recovered > 0 {
            tracing::warn!(recovered, "sealed turns that were left open");
        }
        let files = Files::open(&config, store.clone(), vault.clone(), turns.clone(), quotas.clone()).await?;
        // Last, so that the token is shown by the start that makes it.
        let first_user = ensure_first_user(&store, &data).await?;
        let open_turns = Arc::<OpenTurns>::default();
        let mut registry = metrics.registry();
        registry.register_collector(Box::new(Readings {
            store: store.clone(),
            plugins: plugins.clone(),
            open_turns: open_turns.clone(),
            started,
        }));
        let app = App {
            agents: Agents::new(AgentParts {
                config: config.clone(),
                store: store.clone(),
                vault: vault.clone(),
                plugins: plugins.clone(),
                turns: turns.clone(),
                files: files.clone(),
                open_turns: open_turns.clone(),
                tasks: tasks.clone(),
            }),
            conversations: Conversations::new(
                store.clone(),
                vault.clone(),
                turns,
                files.clone(),
                open_turns.clone(),
                quotas.clone(),
                tasks.clone(),
            ),
            files,
            quotas,
            strangers: Arc::<Strangers>::default(),
            access: access(&config, &store, &tasks)?,
            backtests: Backtests::new(store.clone(), vault.clone(), plugins.clone(), tasks.clone()),
            verdicts: Verdicts::new(store.clone(), &tasks),
            config,
            plugins: plugins.clone(),
            store: store.clone(),
            vault,
            open_turns: open_turns.clone(),
            tasks: tasks.clone(),
            log_key,
            metrics,
            registry: Arc::new(registry),
            keys_at_work: Arc::default(),
            started,
        };
        let rotation = Rotation::of_server(app.store.clone(), app.vault.clone());
        let replays = Replays::new(store.clone(), app.vault.clone(), plugins.clone());
        let judges = Judges::Running { replays, backtests: app.backtests.clone() };
        let operator = Operator::new(app.access.clone(), rotation, judges, PluginsAtHand::of_server(plugins.clone()));
        app.agents.erase_in_background();
        if app.config.plugins.watch {
            plugins.watch();
        }
        let (addr, admin_addr) = listen(app).await?;
        // The API is worth more than the commands: a path that is too long for a socket stops no server.
        if let Err(error) = admin_socket::listen(&data, operator, &tasks) {
            tracing::warn!(%error, "{} cannot be made: commands will not reach this server", SOCKET_NAME);
        }
        tracing::info!(%addr, %admin_addr, "accepting requests");
        Ok(Self { addr, admin_addr, first_user, plugins, store, open_turns, tasks, traces: Some(traces) })
    }

    /// Where the API listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where health and metrics listen.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// The user who was made because there was none.
    #[must_use]
    pub fn first_user(&self) -> Option<&FirstUser> {
        self.first_user.as_ref()
    }

    /// Its plugins.
    #[must_use]
    pub fn plugins(&self) -> &Arc<Plugins> {
        &self.plugins
    }

    /// Ends the server: no new work, ten seconds for open turns, then sockets close with 1012 and the store with
    /// everything that was sealed.
    pub async fn shutdown(mut self) {
        self.tasks.draining().cancel();
        self.open_turns.drain(DRAIN_GRACE).await;
        if !self.tasks.close(CLOSE_GRACE).await {
            tracing::warn!("some connections did not close in time");
        }
        if let Some(traces) = self.traces.take() {
            traces.flush().await;
        }
        close_store(self.store.clone()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.draining().cancel();
        self.tasks.closing().cancel();
    }
}

fn turn_options(config: &Config) -> TurnOptions {
    TurnOptions {
        output_bytes: config.limits.output_bytes,
        openings: config.privacy.openings,
        unjudged: config.limits.unjudged,
        minimum_mode: config.governance.minimum_mode,
        mandatory: config.governance.mandatory_policies.iter().cloned().map(Into::into).collect(),
    }
}

/// What agents have unless they say otherwise.
fn usual_bindings(config: &Config) -> Vec<Binding> {
    let governance = &config.governance;
    governance.mandatory_policies.iter().chain(&governance.default_policies).cloned().map(Into::into).collect()
}

/// Opening may take a while after a crash, so it blocks no worker of the runtime.
async fn open_store(
    config: &Config,
    data: &DataDir,
    signer: SigningKey,
    observer: Option<Arc<dyn CommitObserver>>,
) -> Result<Store, StartError> {
    let options = StoreOptions { cache_bytes: config.store.cache_mib << 20, observer, ..StoreOptions::default() };
    let path = data.path().to_owned();
    Ok(tokio::task::spawn_blocking(move || Store::open(&path, signer, options)).await??)
}

fn access(config: &Config, store: &Store, tasks: &Tasks) -> Result<Access, StartError> {
    let access = Access::new(store.clone(), tasks.clone());
    Ok(match &config.auth.oidc {
        Some(oidc) => access.with_issuer(Issuer::new(oidc, tasks)?),
        None => access,
    })
}

async fn close_store(store: Store) {
    if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
        tracing::error!("the store did not close cleanly");
    }
}

async fn listen(app: App) -> Result<(SocketAddr, SocketAddr), StartError> {
    let (public, addr) = bind(app.config.listen).await?;
    let (admin, admin_addr) = bind(app.config.admin_listen).await?;
    let tasks = app.tasks.clone();
    let until = tasks.draining().clone();
    tasks.spawn(accept::accept(public, api::router(app.clone()), tasks.clone(), until));
    // The operator sees the server go down until it has.
    let until = tasks.closing().clone();
    tasks.spawn(accept::accept(admin, api::admin_router(app), tasks.clone(), until));
    Ok((addr, admin_addr))
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(addr, error);
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}
