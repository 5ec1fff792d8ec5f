//! A GitHub double: stateful, over real bare git repositories, and strict.
//!
//! ```no_run
//! # async fn example() {
//! use layersmith_testbed::github::{GithubDouble, GithubOptions};
//! let double = GithubDouble::start(GithubOptions::default()).await;
//! double.create_repository("octo/layers", [("README.md", "# Layers\n")]).await;
//! double.set_hook_url("http://127.0.0.1:8080/webhooks/github");
//! let number = double.open_pull_request("add-requests", "Add requests", [("layers/requests.yaml", "packages: [requests]\n")], "mona").await;
//! println!("{}", double.conversation(number));
//! assert_eq!(double.violations(), Vec::<String>::new());
//! # }
//! ```
//!
//! - **People** act through methods ([`open_pull_request`](GithubDouble::open_pull_request), [`comment`](GithubDouble::comment)…);
//!   each sends the web hook GitHub would send and returns when it was answered.
//! - **Bots** act through HTTP. Every request and every answer is held against GitHub's own description; what breaks it is answered
//!   500 and listed by [`violations`](GithubDouble::violations).
//! - **Tests** look: [`comments`](GithubDouble::comments), [`check_runs`](GithubDouble::check_runs), [`conversation`](GithubDouble::conversation).
//!
//! Deliberately absent: GraphQL but for the texts of files, labels and comments of issues that are no pull requests, reviews, branch protection, organizations, rate limits that are not asked for.

mod actions;
mod auth;
mod call;
mod contract;
mod courier;
mod description;
mod door;
mod faults;
mod git;
mod graphql;
mod history;
mod issue_shapes;
mod pull_shapes;
mod repositories;
mod routes;
mod setting_up;
mod shapes;
mod state;
mod templates;
mod view;
mod webhooks;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinHandle;

pub use courier::signature;
pub use faults::{Fault, Matcher};
pub use git::{Files, Identity};
pub use history::Commit;
pub use state::{
    Annotation, CheckRun, Comment, CommitStatus, Delivery, DeliveryMode, DeployKey, Issue,
    Permission, Request, User,
};

use crate::support::{CuttableListener, Scissors, cache_directory, run, write_whole};
use faults::PlannedFault;
use state::{AppIdentity, Hook, State};

/// How the double is set up.
#[derive(Clone, Debug)]
pub struct GithubOptions {
    pub app_id: u64,
    pub app_slug: String,
    pub installation_id: u64,
    /// What the App may do: permission → `read` or `write`.
    pub permissions: BTreeMap<String, String>,
    pub webhook_secret: String,
    /// The account the personal token belongs to; it may write to every repository that is created.
    pub token_login: String,
    /// How long an installation token is good; an hour on GitHub.
    pub token_lifetime: Duration,
    /// Whether comments made through the interface are announced by web hook, as GitHub does.
    pub announce_api_comments: bool,
    /// Where the double's own clock starts; commits and comments get their times from it.
    pub epoch: OffsetDateTime,
    /// Where the bare repositories go; a temporary folder by default.
    pub root: Option<PathBuf>,
}

impl Default for GithubOptions {
    fn default() -> Self {
        let permissions = [
            ("checks", "write"),
            ("contents", "read"),
            ("issues", "write"),
            ("metadata", "read"),
            ("pull_requests", "write"),
            ("statuses", "write"),
        ];
        Self {
            app_id: 274_100,
            app_slug: "layersmith".to_owned(),
            installation_id: 51_234_567,
            permissions: permissions
                .map(|(name, level)| (name.to_owned(), level.to_owned()))
                .into(),
            webhook_secret: "webhook-secret-of-the-test-bench".to_owned(),
            token_login: "layersmith-bot".to_owned(),
            token_lifetime: Duration::HOUR,
            announce_api_comments: true,
            epoch: OffsetDateTime::from_unix_timestamp(1_793_610_000).expect("a time in 2026"),
            root: None,
        }
    }
}

/// A running double. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct GithubDouble {
    shared: Arc<Shared>,
    guard: Arc<Guard>,
    /// The repository the methods act on; the first one created when `None`.
    repository: Option<String>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    client: reqwest::Client,
    courier: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A route that panicked is recorded as a violation; the test goes on to show it.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Guard {
    url: String,
    token: String,
    private_key_pem: String,
    server: JoinHandle<()>,
    _folder: Option<TempDir>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl GithubDouble {
    /// Starts a double without repositories.
    ///
    /// # Panics
    /// When git, `ssh-keygen` or GitHub's description is missing; the text says how to get it.
    pub async fn start(options: GithubOptions) -> Self {
        let ready = tokio::task::spawn_blocking(|| {
            door::the_contract();
            app_key()
        });
        let (private_key_pem, public_key_pem) = ready
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let folder = options
            .root
            .is_none()
            .then(|| TempDir::new().expect("the temporary folder is writable"));
        let root = options
            .root
            .clone()
            .or_else(|| folder.as_ref().map(|folder| folder.path().to_path_buf()))
            .expect("one of both is there");
        let (listener, address) = CuttableListener::bind().await;
        let url = format!("http://{address}");
        let token = "ghp_PersonalTokenOfTheTestBench000000000".to_owned();
        let mut state = first_state(
            &options,
            url.clone(),
            root,
            (private_key_pem.clone(), public_key_pem),
        );
        state
            .personal_tokens
            .insert(token.clone(), options.token_login.clone());
        for login in [
            options.token_login,
            state.app.owner.clone(),
            state.app.bot(),
        ] {
            state.user(&login);
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            client: crate::local_client(),
            courier: tokio::sync::Mutex::default(),
        });
        let app = Router::new()
            .fallback(door::door)
            .with_state(Arc::clone(&shared));
        let service = app.into_make_service_with_connect_info::<Scissors>();
        let server = tokio::spawn(async move {
            axum::serve(listener, service)
                .await
                .expect("the double's socket stays open")
        });
        let guard = Arc::new(Guard {
            url,
            token,
            private_key_pem,
            server,
            _folder: folder,
        });
        Self {
            shared,
            guard,
            repository: None,
        }
    }

    /// The same double, acting on another repository (`owner/name`).
    #[must_use]
    pub fn in_repository(&self, full_name: &str) -> Self {
        Self {
            repository: Some(full_name.to_owned()),
            ..self.clone()
        }
    }

    /// Where bots send requests: what `https://api.github.com` is for GitHub.
    pub fn url(&self) -> String {
        self.guard.url.clone()
    }

    pub fn app_id(&self) -> u64 {
        self.shared.lock().app.id
    }

    pub fn installation_id(&self) -> u64 {
        self.shared.lock().app.installation_id
    }

    /// The App's key in the form GitHub hands out: PKCS#1 PEM.
    pub fn app_private_key_pem(&self) -> String {
        self.guard.private_key_pem.clone()
    }

    /// A personal access token.
    pub fn token(&self) -> String {
        self.guard.token.clone()
    }

    pub fn webhook_secret(&self) -> String {
        self.shared.lock().hook.secret.clone()
    }

    /// The folder with the bare repositories, each at `owner/name.git`.
    pub fn repositories_root(&self) -> PathBuf {
        self.shared.lock().root.clone()
    }

    /// Where web hooks go; without it they are recorded as failed.
    pub fn set_hook_url(&self, url: &str) {
        self.shared.lock().hook.url = Some(url.to_owned());
    }

    pub fn set_delivery_mode(&self, mode: DeliveryMode) {
        self.shared.lock().hook.mode = mode;
    }

    /// What `ssh_url` of a repository starts with (`ssh://git@127.0.0.1:2222`), and the host keys `GET /meta` names.
    pub fn set_ssh(&self, base: &str, host_keys: &[String]) {
        let mut state = self.shared.lock();
        state.ssh_base = Some(base.trim_end_matches('/').to_owned());
        state.ssh_host_keys = host_keys.to_vec();
    }

    /// The next `times` requests that match meet this fault.
    pub fn fail_next(&self, matcher: Matcher, fault: Fault, times: u32) {
        assert!(times > 0, "a fault that happens never is no fault");
        self.shared.lock().faults.push(PlannedFault {
            matcher,
            fault,
            times,
        });
    }

    /// Everything is well again: faults that nothing has met are dropped.
    pub fn end_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// What tokens given out from now on may do: `read`, `write` or, with `None`, nothing.
    pub fn set_app_permission(&self, name: &str, level: Option<&str>) {
        let permissions = &mut self.shared.lock().app.permissions;
        match level {
            Some(level) => permissions.insert(name.to_owned(), level.to_owned()),
            None => permissions.remove(name),
        };
    }

    /// Makes every installation token given out so far worthless.
    pub fn expire_tokens(&self) {
        for token in self.shared.lock().tokens.values_mut() {
            token.expires_at = OffsetDateTime::UNIX_EPOCH;
        }
    }
}

fn first_state(
    options: &GithubOptions,
    api_url: String,
    root: PathBuf,
    (private_key_pem, public_key_pem): (String, Vec<u8>),
) -> State {
    State {
        api_url,
        root,
        repositories: BTreeMap::new(),
        first_repository: None,
        users: BTreeMap::new(),
        app: AppIdentity {
            id: options.app_id,
            slug: options.app_slug.clone(),
            owner: "octo-owner".to_owned(),
            installation_id: options.installation_id,
            permissions: options.permissions.clone(),
            private_key_pem,
            public_key_pem,
            token_lifetime: options.token_lifetime,
        },
        tokens: BTreeMap::new(),
        personal_tokens: BTreeMap::new(),
        manifests: BTreeMap::new(),
        hook: Hook {
            id: 388_000_001,
            url: None,
            secret: options.webhook_secret.clone(),
            mode: DeliveryMode::Automatic,
        },
        announce_api_comments: options.announce_api_comments,
        deliveries: Vec::new(),
        outbox: Vec::new(),
        requests: Vec::new(),
        violations: Vec::new(),
        faults: Vec::new(),
        ssh_base: None,
        ssh_host_keys: Vec::new(),
        clock: options.epoch,
        last_id: 1_000_000,
    }
}

/// The App's key pair, made once for the workspace: private (PKCS#1 PEM) and public (PEM).
fn app_key() -> (String, Vec<u8>) {
    let kept = cache_directory().join("app-key.pem");
    if !kept.is_file() {
        let folder = TempDir::new().expect("the temporary folder is writable");
        let fresh = folder.path().join("key");
        run(Command::new("ssh-keygen")
            .args([
                "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-C", "", "-f",
            ])
            .arg(&fresh));
        write_whole(&kept, &fs::read(&fresh).expect("ssh-keygen wrote a key"));
    }
    // ssh-keygen refuses a private key others may read.
    let folder = TempDir::new().expect("the temporary folder is writable");
    let copy = folder.path().join("key");
    copy_private(&kept, &copy);
    let public = run(Command::new("ssh-keygen")
        .args(["-e", "-m", "PKCS8", "-f"])
        .arg(&copy))
    .stdout;
    (
        fs::read_to_string(&kept).expect("the App's key is text"),
        public,
    )
}

fn copy_private(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::copy(from, to).expect("the App's key can be copied");
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("the copy is ours");
}
