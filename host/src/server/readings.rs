//! Figures that are read when they are asked for: how full, how large and how old things are.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use gavel_store::{PluginKind, Store};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::agent::OpenTurns;
use crate::plugins::Plugins;
use crate::telemetry::ProcessFigures;
use crate::telemetry::metrics::PoolName;

/// The parts that are asked at each scrape.
pub(super) struct Readings {
    pub(super) store: Store,
    pub(super) plugins: Arc<Plugins>,
    pub(super) open_turns: Arc<OpenTurns>,
    pub(super) started: Instant,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let e = &mut encoder;
        let build = [("version", env!("CARGO_PKG_VERSION")), ("wasmtime", gavel_sandbox::WASMTIME_VERSION)];
        e.encode_descriptor("gavel_build", "What is running", None, MetricType::Info)?.encode_info(&build)?;
        gauge(e, "gavel_uptime_seconds", "Seconds since the start", self.started.elapsed().as_secs_f64())?;
        gauge(e, "gavel_turns_open", "Turns that are under way", integer(self.open_turns.count() as u64))?;
        gauge(e, "gavel_log_entries", "Entries in the log", integer(self.store.head().size))?;
        self.encode_store(e)?;
        self.encode_pools(e)?;
        self.encode_plugins(e)?;
        ProcessFigures::read().map_or(Ok(()), |figures| encode_process(e, &figures))
    }
}

impl Readings {
    fn encode_store(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.store.status();
        let figures = [
            ("gavel_store_waiting_operations", "Operations that wait for the writer", status.waiting as u64),
            ("gavel_store_waiting_operations_limit", "Most operations that may wait", status.max_waiting as u64),
            ("gavel_store_journal_bytes", "Bytes in the journal's current half", status.journal_bytes),
            ("gavel_store_journal_limit_bytes", "Bytes that a half holds", status.journal_limit_bytes),
        ];
        figures.into_iter().try_for_each(|(name, help, value)| gauge(e, name, help, integer(value)))
    }

    fn encode_pools(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let pools =
            [(PoolName::Policies, self.plugins.policies.pool()), (PoolName::Providers, self.plugins.providers.pool())];
        let in_use = pools.map(|(name, pool)| (name, pool.in_use));
        let limits = pools.map(|(name, pool)| (name, pool.limit));
        by_pool(e, "gavel_sandbox_instances", "Instances that are promised or alive", in_use)?;
        by_pool(e, "gavel_sandbox_instances_limit", "Most instances that may be", limits)?;
        let snapshots = integer(self.plugins.policies.snapshot_bytes() as u64);
        gauge(e, "gavel_sandbox_snapshot_bytes", "Machine code of configured policies held in memory", snapshots)
    }
}

impl Readings {
    fn encode_plugins(&self, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Versions of plugins that are listed, and files that were refused";
        let mut family = e.encode_descriptor("gavel_plugin_versions", help, None, MetricType::Gauge)?;
        self.plugins.count().into_iter().try_for_each(|((kind, state), count)| {
            let kind = match kind {
                Some(PluginKind::Policy) => "policy",
                Some(PluginKind::Provider) => "provider",
                None => "unknown",
            };
            let labels = [("kind", kind), ("state", state.as_str())];
            ConstGauge::new(integer(count as u64)).encode(family.encode_family(&labels)?)
        })
    }
}

fn encode_process(e: &mut DescriptorEncoder<'_>, figures: &ProcessFigures) -> fmt::Result {
    let cpu = ConstCounter::new(figures.cpu_seconds);
    cpu.encode(e.encode_descriptor(
        "process_cpu_seconds",
        "User and system time of the process",
        None,
        cpu.metric_type(),
    )?)?;
    let gauges = [
        ("process_resident_memory_bytes", "Bytes of the process in memory", figures.resident_bytes),
        ("process_virtual_memory_bytes", "Bytes of the process's address space", figures.virtual_bytes),
        ("process_open_fds", "Open file descriptors", figures.open_fds),
        ("process_max_fds", "Most file descriptors that may be open", figures.max_fds),
        ("process_threads", "Threads of the process", figures.threads),
    ];
    gauges.into_iter().try_for_each(|(name, help, value)| gauge(e, name, help, integer(value)))
}

fn gauge<N: EncodeGaugeValue>(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let gauge = ConstGauge::new(value);
    gauge.encode(e.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn by_pool(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, figures: [(PoolName, usize); 2]) -> fmt::Result {
    let mut family = e.encode_descriptor(name, help, None, MetricType::Gauge)?;
    figures.into_iter().try_for_each(|(pool, figure)| {
        let labels = [("pool", pool.as_str())];
        ConstGauge::new(integer(figure as u64)).encode(family.encode_family(&labels)?)
    })
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
