//! One running `gavel serve`, with a data directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinHandle;

use crate::command::{command, profile_directory, ran};
use crate::{PublicLog, Ran, Upstream, User, gavel_command_in, within};

/// The key that the operator gave for the mock provider.
pub const MOCK_KEY: &str = "sk-mock-0a1b2c3d4e5f";
/// The environment variable that holds the master key.
const VAULT_VARIABLE: &str = "GAVEL_VAULT_KEY";
/// One master key for all servers, so that they can share their compiled plugins: 32 bytes as base64.
const VAULT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The first start of all compiles the bundled plugins, perhaps beside others that do the same.
const START_DEADLINE: Duration = Duration::from_secs(180);
/// Lines of a failed server's log that are shown.
const SHOWN_LINES: usize = 40;

/// What a server is started with.
pub struct Setup {
    upstream: SocketAddr,
    log_level: String,
    toml: String,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// A server whose provider `mock` speaks with this upstream.
    #[must_use]
    pub fn with(upstream: &Upstream) -> Self {
        let log_level = "info".to_owned();
        let environment = vec![(VAULT_VARIABLE.to_owned(), VAULT_KEY.to_owned())];
        Self { upstream: upstream.addr(), log_level, toml: String::new(), environment }
    }

    /// What it logs.
    #[must_use]
    pub fn log_level(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.log_level);
        self
    }

    /// More of its configuration.
    #[must_use]
    pub fn toml(mut self, sections: &str) -> Self {
        self.toml.push_str(sections);
        self
    }

    /// One more variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It makes a master key in its data directory, which no other server has; so it compiles its plugins itself.
    #[must_use]
    pub fn makes_its_master_key(mut self) -> Self {
        self.environment.retain(|(name, _)| name != VAULT_VARIABLE);
        self
    }

    fn file(&self) -> String {
        let shared = self.environment.iter().any(|(name, _)| name == VAULT_VARIABLE);
        let cache = if shared { profile_directory().join("gavel-tests-code") } else { "code".into() };
        format!(
            r#"log_level = "{level}"

[plugins]
cache_dir = "{cache}"

[tiers.free]
requests_per_minute = 1000000
messages_per_month = 1000000

[providers.mock]
plugin = "openai"
config = {{ base_url = "http://{upstream}/v1" }}
api_key_env = "MOCK_KEY"
allow_private = true

{more}"#,
            level = self.log_level,
            cache = cache.display(),
            upstream = self.upstream,
            more = self.toml,
        )
    }
}

/// A server. It is killed when it is dropped; when a test fails, the end of its log is shown.
pub struct GavelServer {
    directory: TempDir,
    environment: Vec<(String, String)>,
    process: Process,
}

impl GavelServer {
    /// Starts a server on an empty data directory, and waits until it accepts requests.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("gavel.toml"), setup.file()).expect("the configuration is written");
        let process = Process::start(directory.path(), &setup.environment).await;
        Self { directory, environment: setup.environment, process }
    }

    /// Starts it once more on the same data directory. Addresses change: ask for users and log again.
    ///
    /// # Panics
    /// When it still runs, or does not start.
    pub async fn start_again(&mut self) {
        assert!(self.process.child.id().is_none(), "the server still runs");
        self.process = Process::start(self.directory.path(), &self.environment).await;
    }

    /// Starts it once more on the same data directory, where it is to end by itself.
    ///
    /// # Panics
    /// When it still runs, or does not end.
    pub async fn ends_at_its_start(&self) -> Ran {
        assert!(self.process.child.id().is_none(), "the server still runs");
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (data, config) = (self.data_dir().display().to_string(), self.config_file().display().to_string());
        let place = ["--data-dir", &data, "--config", &config];
        let args = [&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], place.as_slice()].concat();
        gavel_command_in(&environment, &args).await
    }

    /// Adds to its configuration, for its next start.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, toml: &str) {
        let file = self.config_file();
        let before = std::fs::read_to_string(&file).expect("the configuration is there");
        std::fs::write(&file, format!("{before}\n{toml}")).expect("the configuration is written");
    }

    /// Its first user.
    ///
    /// # Panics
    /// When there is no token.
    #[must_use]
    pub fn admin(&self) -> User {
        let token = std::fs::read_to_string(self.data_dir().join("admin-token")).expect("the first user has a token");
        User::new(self.process.addr, Some(token.trim_end().to_owned()))
    }

    /// Runs a command of the operator's on this installation, whether or not the server runs.
    ///
    /// # Panics
    /// When it cannot be run, or does not end in time.
    pub async fn command(&self, args: &[&str]) -> Ran {
        let (data, config) = (self.data_dir(), self.config_file());
        let place =
            ["--data-dir", &data.display().to_string(), "--config", &config.display().to_string()].map(str::to_owned);
        let args: Vec<_> = args.iter().copied().chain(place.iter().map(String::as_str)).collect();
        self.runs(&args).await
    }

    /// Runs `gavel` with these arguments alone, where the server runs.
    ///
    /// # Panics
    /// When it cannot be run, or does not end in time.
    pub async fn runs(&self, args: &[&str]) -> Ran {
        let mut command = command();
        command.current_dir(self.directory.path()).args(args);
        ran(command).await
    }

    /// Makes a user of this name; more of the command's arguments make an administrator or an auditor.
    ///
    /// # Panics
    /// When the user is not made.
    pub async fn new_user(&self, name: &str, more: &[&str]) -> User {
        let made = self.command(&[&["user", "add", name], more].concat()).await;
        assert_eq!(made.status, Some(0), "{made:?}");
        self.bearer(made.out.trim_end())
    }

    /// Waits until it says that it is ready: until then it works, but compiles what most agents are judged by.
    ///
    /// # Panics
    /// When it does not say so in time.
    pub async fn is_ready(&self) {
        let anyone = self.anyone();
        let ready = async { while anyone.get("/health/ready").await.status == 503 {} };
        tokio::time::timeout(START_DEADLINE, ready).await.expect("the server is ready in time");
    }

    /// Someone without a token.
    #[must_use]
    pub fn anyone(&self) -> User {
        User::new(self.process.addr, None)
    }

    /// Someone with this token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> User {
        User::new(self.process.addr, Some(token.to_owned()))
    }

    /// The operator, at the admin listener.
    #[must_use]
    pub fn operator(&self) -> User {
        User::new(self.process.admin_addr, None)
    }

    /// The public log.
    #[must_use]
    pub fn log(&self) -> PublicLog {
        PublicLog::new(self.anyone())
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Its configuration's file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("gavel.toml")
    }

    /// Its process's id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.child.id().expect("the server runs")
    }

    /// All that it has said on standard output and error since its last start.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its disk takes nothing more: every write to a file fails.
    ///
    /// # Panics
    /// When it does not run.
    #[cfg(target_os = "linux")]
    pub fn disk_is_full(&self, full: bool) {
        use rustix::process::{Resource, Rlimit, prlimit};

        let limit = Rlimit { current: full.then_some(0), maximum: None };
        prlimit(Some(self.process.id()), Resource::Fsize, limit).expect("a limit of our own process");
    }

    /// `kill -9`: it gets no chance to tidy up.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.ended().await;
    }

    /// `kill -TERM`: it is asked to go down, and goes in its own time.
    ///
    /// # Panics
    /// When it does not run.
    pub fn ask_to_stop(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = within("the server's end", self.process.child.wait()).await.expect("the server can be waited for");
        for reading in self.process.reading.drain(..) {
            within("the last of the server's output", reading).await.expect("its output is read");
        }
        status
    }
}

impl Drop for GavelServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<_> = said.lines().collect();
            let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
            eprintln!("The end of the server's log:\n{}", shown.join("\n"));
        }
    }
}

struct Process {
    child: Child,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    said: Arc<Mutex<String>>,
    reading: Vec<JoinHandle<()>>,
}

impl Process {
    async fn start(directory: &Path, environment: &[(String, String)]) -> Self {
        let mut child = command()
            .current_dir(directory)
            .env("MOCK_KEY", MOCK_KEY)
            .envs(environment.iter().cloned())
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--data-dir", "data", "--config", "gavel.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be run");
        let said = Arc::<Mutex<String>>::default();
        let mut out = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let err = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let err = tokio::spawn(keep(err, said.clone()));
        let announced = tokio::time::timeout(START_DEADLINE, async {
            (
                announced(&mut out, "gavel listening on http://").await,
                announced(&mut out, "gavel admin on http://").await,
            )
        });
        let Ok((Some(addr), Some(admin_addr))) = announced.await else {
            let _ = child.kill().await;
            let _ = err.await;
            panic!("the server did not start: {}", said.lock().unwrap_or_else(PoisonError::into_inner));
        };
        let reading = vec![err, tokio::spawn(keep(out, said.clone()))];
        Self { child, addr, admin_addr, said, reading }
    }

    fn id(&self) -> Pid {
        self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("the server runs")
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("the server can be sent a signal");
    }
}

/// The address in the next line of standard output, which is to begin thus.
async fn announced(out: &mut Lines<BufReader<ChildStdout>>, begins: &str) -> Option<SocketAddr> {
    out.next_line().await.ok()??.strip_prefix(begins)?.parse().ok()
}

async fn keep<R: AsyncRead + Unpin>(mut lines: Lines<BufReader<R>>, said: Arc<Mutex<String>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&line);
        said.push('\n');
    }
}
