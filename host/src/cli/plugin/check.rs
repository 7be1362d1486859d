//! `gavel plugin check`: what a component is, and whether and how fast it would serve.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_log::Hash;
use gavel_log::judged::{Stage, Subject};
use gavel_sandbox::Interfaces;
use gavel_sandbox::policy::{BoundPolicy, PolicyComponent};
use gavel_sandbox::provider::{Grant, ProviderComponent, ProviderRuntime};
use serde_json::{Value, json};

use super::super::{CliError, NOT_SO, USAGE};
use super::examine::{self, Loaded};
use super::test::refusal;

/// Most bytes of a configuration.
const CONFIG_BYTES: u64 = 1 << 20;
/// Evaluations that are timed, and how long that may take.
const EVALUATIONS: usize = 500;
const EVALUATING: Duration = Duration::from_secs(3);
/// What is evaluated: 360 bytes, as in `docs/benchmarks.md`.
const SENTENCE: &str = "The committee meets on Tuesday to go through the figures of the last quarter again. \
    If it rains, they will sit inside. ";
const TEXT_BYTES: usize = 360;

/// See what a component is, whether it could be installed, and how fast it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gavel plugin check code-names.wasm\n\
    Exit status: 0 it could be installed, 1 it could not")]
pub(super) struct Args {
    /// The component
    file: String,
    /// Its configuration, a file of JSON, instead of {}
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// Everything that is told. What a component is not asked, since something before failed, is none.
#[derive(Default)]
struct Report {
    bytes: usize,
    digest: String,
    interfaces: Interfaces,
    kind: Option<&'static str>,
    name: String,
    version: String,
    summary: String,
    stages: Vec<Stage>,
    origins: Vec<String>,
    credential: Option<String>,
    config_schema: Value,
    compiled: Option<Duration>,
    configured: Option<Configured>,
    /// Why it could not be installed.
    error: Option<String>,
}

/// A component under a configuration.
struct Configured {
    /// Why it cannot be configured so; that alone is no reason not to install it.
    refused: Option<String>,
    took: Duration,
    policy: Option<Measured>,
}

/// A policy under a configuration.
struct Measured {
    rules: Vec<String>,
    /// How long a snapshot took, or why there is none.
    snapshot: Result<Duration, String>,
    p50: Duration,
    p99: Duration,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let config = match args.config.as_deref().map(config).transpose()? {
        None => json!({}),
        Some(Ok(config)) => config,
        Some(Err(detail)) => {
            eprintln!("gavel: --config: {detail}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let bytes = examine::read(&args.file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(report(bytes, &config))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", in_json(&report))?;
    } else {
        write!(out, "{}", in_words(&report))?;
    }
    Ok(if report.error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
}

fn config(path: &str) -> Result<Result<Value, String>, CliError> {
    let fault = |error| CliError::File(path.to_owned(), error);
    let mut bytes = Vec::new();
    File::open(path).map_err(fault)?.take(CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > CONFIG_BYTES {
        return Ok(Err(format!("{path}: over {CONFIG_BYTES} bytes")));
    }
    Ok(serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}")))
}

async fn report(bytes: Vec<u8>, config: &Value) -> Result<Report, CliError> {
    let mut report = Report {
        bytes: bytes.len(),
        digest: Hash::of(&bytes).tagged(),
        interfaces: Interfaces::of(&bytes).unwrap_or_default(),
        ..Report::default()
    };
    let started = Instant::now();
    match examine::load(bytes, true).await? {
        Ok(Loaded::Policy(policy)) => {
            report.compiled = Some(started.elapsed());
            report.of_policy(&policy);
            match policy.try_out().await {
                Ok(()) => report.configured = Some(configure_policy(&policy, config).await),
                Err(error) => report.error = Some(error.to_string()),
            }
        }
        Ok(Loaded::Provider(provider, runtime)) => {
            report.compiled = Some(started.elapsed());
            report.of_provider(&provider);
            report.configured = Some(configure_provider(&runtime, provider, config).await);
        }
        Err(error) => report.error = Some(error),
    }
    Ok(report)
}

impl Report {
    fn of_policy(&mut self, policy: &PolicyComponent) {
        let manifest = policy.manifest.clone();
        self.kind = Some(if policy.streams() { "streaming policy" } else { "policy" });
        (self.name, self.version, self.summary) = (manifest.name, manifest.version, manifest.summary);
        (self.stages, self.config_schema) = (manifest.stages, manifest.config_schema);
    }

    fn of_provider(&mut self, provider: &ProviderComponent) {
        let manifest = provider.manifest().clone();
        self.kind = Some("provider");
        (self.name, self.version, self.summary) = (manifest.name, manifest.version.to_string(), manifest.summary);
        (self.origins, self.config_schema) = (manifest.origins, manifest.config_schema);
        self.credential = manifest.credential.map(|asked| format!("{}: {}", asked.header, asked.format));
    }

    /// The version of the interface that it exports.
    fn interface(&self) -> Option<&str> {
        let exports = self.interfaces.exports.iter();
        exports
            .filter_map(|name| name.strip_prefix("gavel:plugin/")?.split_once('@'))
            .map(|(_, version)| version)
            .next()
    }
}

async fn configure_policy(policy: &Arc<PolicyComponent>, config: &Value) -> Configured {
    let started = Instant::now();
    let bound = match policy.bind(config).await {
        Ok(bound) => bound,
        Err(error) => return Configured { refused: Some(refusal(&error)), took: started.elapsed(), policy: None },
    };
    let took = started.elapsed();
    let started = Instant::now();
    let snapshot = if bound.warm().await {
        Ok(started.elapsed())
    } else {
        bound.why_no_snapshot().await.map(|()| started.elapsed())
    };
    let (p50, p99) = evaluate(policy, &bound).await;
    let rules = bound.rules.ids().map(str::to_owned).collect();
    Configured { refused: None, took, policy: Some(Measured { rules, snapshot, p50, p99 }) }
}

/// The median and the 99th percentile of fresh evaluations.
async fn evaluate(policy: &PolicyComponent, bound: &BoundPolicy) -> (Duration, Duration) {
    let text: String = SENTENCE.chars().cycle().take(TEXT_BYTES).collect();
    let subject = Subject {
        stage: policy.manifest.stages.first().copied().unwrap_or(Stage::Input),
        text,
        tool: None,
        model: "model".to_owned(),
        provider: "provider".to_owned(),
        now_ms: 0,
        facts: Vec::new(),
        history: Vec::new(),
    };
    let started = Instant::now();
    let mut times = Vec::with_capacity(EVALUATIONS);
    while times.is_empty() || times.len() < EVALUATIONS && started.elapsed() < EVALUATING {
        times.push(bound.evaluate(&subject).await.elapsed);
    }
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

async fn configure_provider(runtime: &ProviderRuntime, provider: Arc<ProviderComponent>, config: &Value) -> Configured {
    let started = Instant::now();
    let nothing = Grant { origins: Vec::new(), credential: None, allow_private: false };
    let bound = runtime.bind(provider, &config.to_string(), nothing).await;
    let refused = bound.err().map(|error| match &error {
        gavel_sandbox::provider::BindError::Config(faults) => {
            let places: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            format!("{error}: {}", places.join("; "))
        }
        other => other.to_string(),
    });
    Configured { refused, took: started.elapsed(), policy: None }
}

fn in_words(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(kind) = report.kind {
        let interface = report.interface().unwrap_or("?");
        lines.push(format!("{} {}, a {kind} of gavel:plugin@{interface}", report.name, report.version));
        lines.push(format!("  {}", report.summary));
    }
    let mut tell = |name: &str, value: String| lines.push(format!("{name:<10}  {value}"));
    tell("digest", report.digest.clone());
    tell("size", size(report.bytes));
    tell("imports", listed(&report.interfaces.imports));
    if !report.stages.is_empty() {
        tell("stages", listed(&report.stages.iter().map(name_of).collect::<Vec<_>>()));
    }
    if report.kind == Some("provider") {
        tell("asks for", listed(&report.origins));
        tell("key", report.credential.clone().unwrap_or_else(|| "none".to_owned()));
    }
    if let Some(settings) = report.config_schema.get("properties").and_then(Value::as_object) {
        tell("settings", listed(&settings.keys().cloned().collect::<Vec<_>>()));
    }
    if let Some(took) = report.compiled {
        tell("compiled", time(took));
    }
    if let Some(configured) = &report.configured {
        match &configured.refused {
            Some(why) => tell("configured", format!("no: {why}; --config FILE gives another configuration")),
            None => tell("configured", time(configured.took)),
        }
        if let Some(policy) = &configured.policy {
            tell("rules", listed(&policy.rules));
            match &policy.snapshot {
                Ok(took) => tell("snapshot", format!("made in {}", time(*took))),
                Err(why) => tell("snapshot", format!("none, so each evaluation configures an instance: {why}")),
            }
            let (p50, p99) = (time(policy.p50), time(policy.p99));
            tell("evaluation", format!("{p50} (p50), {p99} (p99) for {TEXT_BYTES} bytes in a fresh instance"));
        }
    }
    if report.kind.is_some_and(|kind| kind != "provider") {
        let limits = examine::limits();
        tell(
            "limits",
            format!(
                "{} nominal ms and 1 µs a byte, {} of memory, {} of stack, {} of result",
                limits.evaluate_ms,
                size(limits.memory_bytes),
                size(limits.stack_bytes),
                size(limits.result_bytes)
            ),
        );
    }
    match &report.error {
        None => lines.push("It can be installed.".to_owned()),
        Some(error) => {
            lines.push(format!("It cannot be installed: {error}"));
            lines.extend(examine::hint(error).map(|hint| format!("Hint: {hint}.")));
        }
    }
    lines.join("\n") + "\n"
}

fn name_of(stage: &Stage) -> String {
    json!(stage).as_str().unwrap_or_default().to_owned()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn time(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros @ 10_000..10_000_000 => format!("{} ms", micros / 1000),
        micros => format!("{} s", micros / 1_000_000),
    }
}

fn in_json(report: &Report) -> Value {
    let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let configured = report.configured.as_ref();
    let policy = configured.and_then(|configured| configured.policy.as_ref());
    json!({
        "installable": report.error.is_none(),
        "error": report.error,
        "hint": report.error.as_deref().and_then(examine::hint),
        "kind": report.kind,
        "interface": report.interface(),
        "name": report.name,
        "version": report.version,
        "summary": report.summary,
        "digest": report.digest,
        "bytes": report.bytes,
        "imports": report.interfaces.imports,
        "exports": report.interfaces.exports,
        "stages": report.stages,
        "origins": report.origins,
        "credential": report.credential,
        "config_schema": report.config_schema,
        "config_error": configured.and_then(|configured| configured.refused.as_ref()),
        "rules": policy.map(|policy| &policy.rules),
        "snapshot": policy.map(|policy| policy.snapshot.is_ok()),
        "snapshot_error": policy.and_then(|policy| policy.snapshot.as_ref().err()),
        "micros": {
            "compile": report.compiled.map(micros),
            "configure": configured.map(|configured| micros(configured.took)),
            "snapshot": policy.and_then(|policy| policy.snapshot.as_ref().ok()).map(|took| micros(*took)),
            "evaluate_p50": policy.map(|policy| micros(policy.p50)),
            "evaluate_p99": policy.map(|policy| micros(policy.p99)),
        },
        "limits": examine::limits(),
    })
}
