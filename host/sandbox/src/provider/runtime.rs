//! The provider sandbox as the host sees it: load a component, bind it, chat.

use std::sync::Arc;

use gavel_log::Hash;
use jsonschema::Validator;
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce, mpsc, oneshot};
use tokio::time::timeout;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::attempt::{Chat, models, run, trial};
use super::bindings::ProviderPluginPre;
use super::chat::{ChatRequest, Model};
use super::clients::Clients;
use super::error::{BindError, LoadError, ProviderError, RuntimeError, detail};
use super::grant::Grant;
use super::guest::{CORE_INSTANCES, Guest, MEMORIES, TABLES};
use super::limits::{COMPONENT_BYTES, DELTAS_WAITING, ProviderLimits, TABLE_ELEMENTS, TRIAL_INSTANCES};
use super::manifest::{self, Manifest};
use super::observe::UpstreamObserver;
use super::outbound::Caller;
use super::stream::{ChatStream, ReadyChat};
use super::world;
use crate::Pool;
use crate::cache::CodeCache;
use crate::compiler::Compiler;
use crate::interface::Version;
use crate::lane::SlowLane;
use crate::ticker::Ticker;

/// Bytes of a slot's memory and tables that stay mapped between guests: cheaper to clear than to map again.
const KEEP_RESIDENT: usize = 256 << 10;

/// What every guest of a runtime shares. Chats hold it, so that epochs go on until the last has ended.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) clients: Arc<Clients>,
    pub(super) limits: Arc<ProviderLimits>,
    pub(super) lane: SlowLane,
    ticker: Ticker,
}

/// Runs providers: an engine, an instance pool and HTTP clients of their own, apart from the policies'.
pub struct ProviderRuntime {
    shared: Arc<Shared>,
    linker: Linker<Guest>,
    permits: Arc<Semaphore>,
    trials: Semaphore,
    compiler: Compiler,
}

/// A component that was checked and compiled.
pub struct ProviderComponent {
    digest: Hash,
    manifest: Manifest,
    validator: Validator,
    pre: ProviderPluginPre<Guest>,
}

/// A component with its configuration and what it is granted; what a chat runs on.
pub struct ProviderBinding {
    pub(super) component: Arc<ProviderComponent>,
    pub(super) config: String,
    pub(super) grant: Arc<Grant>,
}

/// The right to one chat at a time; given back when it is dropped.
#[derive(Debug)]
pub struct ProviderPermit {
    _permit: OwnedSemaphorePermit,
}

impl ProviderRuntime {
    /// An engine and clients within these limits; starts the epochs' thread. With a cache, compiled code is kept
    /// between starts.
    ///
    /// # Errors
    /// If the engine or a client cannot be built on this machine.
    pub fn new(limits: &ProviderLimits, cache: Option<Arc<CodeCache>>) -> Result<Self, RuntimeError> {
        let engine = engine(limits).map_err(|error| RuntimeError::Engine(format!("{error:#}")))?;
        let compiler = Compiler::new(&engine, cache).map_err(|error| RuntimeError::Engine(format!("{error:#}")))?;
        let linker = world::linker(&engine).map_err(|error| RuntimeError::Engine(format!("{error:#}")))?;
        let shared = Shared {
            clients: Arc::new(Clients::new(limits)?),
            limits: Arc::new(limits.clone()),
            lane: SlowLane::new(),
            ticker: Ticker::start(&engine),
            engine,
        };
        let permits = Arc::new(Semaphore::new(limits.max_instances as usize));
        let trials = Semaphore::new(TRIAL_INSTANCES as usize);
        Ok(Self { shared: Arc::new(shared), linker, permits, trials, compiler })
    }

    /// Checks a component's size, imports, exports and manifest, and compiles it: about a second of one core.
    ///
    /// # Errors
    /// As [`LoadError`] says; nothing of a refused component is kept.
    pub async fn load(&self, bytes: &[u8]) -> Result<ProviderComponent, LoadError> {
        if bytes.len() > COMPONENT_BYTES {
            return Err(LoadError::TooLarge { size: bytes.len(), limit: COMPONENT_BYTES });
        }
        let digest = Hash(Sha256::digest(bytes).into());
        let bytes: Arc<[u8]> = bytes.into();
        let compiled = self.compiler.compile(digest, move |_| Ok(bytes)).await;
        let component = compiled.map_err(|error| LoadError::Compile(detail(&format!("{error:#}"), None)))?;
        self.admit(&component, digest).await
    }

    async fn admit(&self, component: &Component, digest: Hash) -> Result<ProviderComponent, LoadError> {
        let engine = &self.shared.engine;
        if let Some(import) = world::forbidden_import(engine, component) {
            return Err(LoadError::Import(import));
        }
        let misfit = |error: wasmtime::Error| LoadError::World(detail(&format!("{error:#}"), None));
        let pre = self.linker.instantiate_pre(component).map_err(misfit)?;
        let Version::V0_1 = Version::exported(engine, component, "provider").map_err(misfit)?;
        let pre = ProviderPluginPre::new(pre).map_err(misfit)?;
        let _permit = self.trials.acquire().await.ok();
        let described =
            trial(&self.shared, &pre, async |plugin, store| plugin.gavel_plugin_provider().call_describe(store).await);
        let described = described.await.map_err(LoadError::Describe)?;
        let (manifest, validator) = manifest::check(described)?;
        Ok(ProviderComponent { digest, manifest, validator, pre })
    }

    /// Binds a component to a configuration and a grant; `configure` runs once as a trial, without network.
    ///
    /// # Errors
    /// If the configuration breaks the schema, the provider refuses it, or the grant may not be made.
    pub async fn bind(
        &self,
        component: Arc<ProviderComponent>,
        config_json: &str,
        grant: Grant,
    ) -> Result<ProviderBinding, BindError> {
        let config: Value = serde_json::from_str(config_json).map_err(|error| BindError::Json(error.to_string()))?;
        let faults = crate::schema::faults(&component.validator, &config);
        if !faults.is_empty() {
            return Err(BindError::Config(faults));
        }
        if let Some(credential) = &grant.credential {
            credential.check()?;
        }
        let _permit = self.trials.acquire().await.ok();
        let configured = trial(&self.shared, &component.pre, async |plugin, store| {
            plugin.gavel_plugin_provider().call_configure(store, config_json).await
        });
        let configured = configured.await.map_err(BindError::Failed)?;
        configured.map_err(|why| BindError::Refused(detail(&why, None)))?;
        Ok(ProviderBinding { component, config: config_json.to_owned(), grant: Arc::new(grant) })
    }

    /// The right to one chat, without waiting; none when as many run as may.
    #[must_use]
    pub fn permit(&self) -> Option<ProviderPermit> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        Some(ProviderPermit { _permit: permit })
    }

    /// How many chats have their permits now, and how many may.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool::of(&self.permits, self.shared.limits.max_instances)
    }

    /// Whether the engine's clock ticks. Without it, a guest that loops holds its thread.
    #[must_use]
    pub fn is_ticking(&self) -> bool {
        self.shared.ticker.is_ticking()
    }

    /// Makes a fresh instance for a chat; must be called inside a tokio runtime. It is configured, and nothing that it
    /// sends goes out, before the chat is asked for.
    ///
    /// The permit is given back when the chat has ended.
    #[must_use]
    pub fn ready(&self, binding: &Arc<ProviderBinding>, permit: ProviderPermit) -> ReadyChat {
        let (sender, deltas) = mpsc::channel(DELTAS_WAITING);
        let (request, asked) = oneshot::channel();
        let caller = Arc::new(SetOnce::new());
        let chat = Chat { shared: self.shared.clone(), binding: binding.clone(), caller: caller.clone() };
        let task = tokio::spawn(async move {
            let result = run(&chat, asked, sender).await;
            drop(permit);
            result
        });
        ReadyChat { stream: ChatStream::new(deltas, task), request, caller }
    }

    /// A [`ready`](Self::ready) chat that is [asked for](ReadyChat::ask) at once.
    #[must_use]
    pub fn chat(
        &self,
        binding: &Arc<ProviderBinding>,
        permit: ProviderPermit,
        key: Option<SecretString>,
        observer: Option<Arc<dyn UpstreamObserver>>,
        request: ChatRequest,
    ) -> ChatStream {
        self.ready(binding, permit).ask(key, observer, request)
    }

    /// The models that a provider offers, within the time of a first byte.
    ///
    /// # Errors
    /// As for a chat.
    pub async fn models(
        &self,
        binding: &Arc<ProviderBinding>,
        permit: ProviderPermit,
        key: Option<SecretString>,
    ) -> Result<Vec<Model>, ProviderError> {
        let caller = SetOnce::new_with(Some(Caller { key: key.map(Arc::new), observer: None }));
        let chat = Chat { shared: self.shared.clone(), binding: binding.clone(), caller: Arc::new(caller) };
        let listed = timeout(self.shared.limits.first_byte, models(&chat)).await;
        drop(permit);
        listed.unwrap_or_else(|_| Err(ProviderError::Timeout("the list of models took too long".into())))
    }
}

impl ProviderComponent {
    /// SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// What it says of itself and asks for.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn pre(&self) -> &ProviderPluginPre<Guest> {
        &self.pre
    }
}

impl ProviderBinding {
    /// What is bound.
    #[must_use]
    pub fn component(&self) -> &Arc<ProviderComponent> {
        &self.component
    }

    /// What it may do.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

fn engine(limits: &ProviderLimits) -> wasmtime::Result<Engine> {
    let instances = limits.max_instances.saturating_add(TRIAL_INSTANCES);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memory_size(limits.memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_threads(false)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}
