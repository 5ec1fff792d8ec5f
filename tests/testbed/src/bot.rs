//! The bot under test: its real executable, started as an operator would start it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Server, local_client};
use crate::tools;

/// How long the executable may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long a piece of work may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to end when asked to.
const GOODBYE: Duration = Duration::from_secs(5);

/// A running `serve` process. It is ended, by its id, on drop.
pub struct Bot {
    process: Server,
    url: String,
    log: PathBuf,
    client: reqwest::Client,
}

/// How the executable is started: nothing of the environment reaches it but what is named here.
#[derive(Clone, Debug)]
pub struct BotOptions {
    pub executable: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Address and port, port 0 for a free one.
    pub listen: String,
    pub variables: Vec<(String, OsString)>,
}

impl BotOptions {
    /// The options every run needs: programs, a home, and no pauses for GitHub's sake.
    pub fn new(executable: impl Into<PathBuf>, data: &Path) -> Self {
        let uv = tools::uv().unwrap_or_else(|missing| panic!("{missing}"));
        let mut options = Self {
            executable: executable.into(),
            log: data.join("bot.log"),
            listen: "127.0.0.1:0".to_owned(),
            variables: Vec::new(),
        };
        for name in [
            "PATH",
            "HOME",
            "SSL_CERT_FILE",
            "PIP_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "UV_INDEX_URL",
            "HTTPS_PROXY",
            "NO_PROXY",
        ] {
            if let Some(value) = std::env::var_os(name) {
                options.set(name, value);
            }
        }
        // Named by its path, an interpreter need not be searched for.
        let python = tools::tools_directory().join("venv/bin/python");
        if python.is_file() {
            options.set("LAYERSMITH_PYTHON", python);
        }
        options.set("LAYERSMITH_UV", uv);
        options.set("LAYERSMITH_DATA", data.join("data"));
        options.set("LAYERSMITH_GITHUB_WRITE_INTERVAL", "0");
        options.set("LAYERSMITH_SWEEP_INTERVAL", "0");
        // What a test publishes on the index is to be seen at once.
        options.set("LAYERSMITH_LOCK_MAX_AGE", "0");
        // What the machine has besides must not decide what is said.
        options.set("LAYERSMITH_INTERPRETERS", "");
        options.set("LAYERSMITH_BWRAP", "off");
        options.set("LAYERSMITH_LOG", "warn,layersmith=debug");
        // Half of what threads have elsewhere: whatever the network adds on the day has room.
        options.set("RUST_MIN_STACK", "1048576");
        options
    }

    /// Sets a variable, in place of an earlier value.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// A command of the executable with these variables and no others.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Bot {
    /// Starts `serve` and waits until it listens.
    ///
    /// # Panics
    /// When it does not; the text has its log.
    pub async fn start(options: &BotOptions) -> Self {
        let started = Self::try_start(options, |_| ()).await;
        started.unwrap_or_else(|log| panic!("the bot does not listen. Its log:\n{log}"))
    }

    /// Starts `serve`, says its process id at once, and waits until it listens.
    ///
    /// # Errors
    /// Its log, when it ends before it listens, or does not listen in time.
    pub async fn try_start(
        options: &BotOptions,
        process_is: impl FnOnce(u32),
    ) -> Result<Self, String> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&options.log)
            .expect("the bot's log can be written");
        let mut command = options.command();
        command
            .args(["serve", "--listen", &options.listen])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        // Ended on drop from now on, also when whoever waits for it to listen goes away.
        let process = Server::spawn(&mut command);
        process_is(process.id());
        let stdout = process.take_stdout();
        let line = tokio::task::spawn_blocking(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .find(|line| line.starts_with("Listening on "))
        });
        let line = tokio::time::timeout(START, line)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten();
        let Some(url) = line
            .as_deref()
            .and_then(|line| line.strip_prefix("Listening on "))
        else {
            return Err(std::fs::read_to_string(&options.log).unwrap_or_default());
        };
        Ok(Self {
            url: url.to_owned(),
            process,
            log: options.log.clone(),
            client: local_client(),
        })
    }

    /// Whether the process is gone.
    pub fn has_ended(&self) -> bool {
        self.process.ended()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, as an operator would, and waits until it has; it takes what it started with it.
    pub fn stop(&mut self) {
        self.process.terminate(GOODBYE);
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A GET on its server, of a path that begins with a slash.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(format!("{}{path}", self.url)).send().await
    }

    /// The numbers it gives of itself at `/metrics`, by their full names.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let answer = self.get("/metrics").await.ok()?;
        let text = answer.text().await.ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until no event waits and no run is open.
    ///
    /// # Panics
    /// When that takes too long, or it dies; the text has its log.
    pub async fn settled(&self) {
        self.settled_within(PATIENCE).await;
    }

    /// The same with a patience of its own, for work that depends on the network.
    ///
    /// # Panics
    /// When that takes longer, or it dies; the text has its log.
    pub async fn settled_within(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            assert!(!self.has_ended(), "the bot died. Its log:\n{}", self.log());
            let waiting = self.metric("layersmith_events_waiting").await;
            let open = self.metric("layersmith_runs{state=\"open\"}").await;
            if (waiting, open) == (Some(0), Some(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("the bot does not come to an end. Its log:\n{}", self.log());
    }
}
