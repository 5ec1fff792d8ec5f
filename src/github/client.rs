//! The client: who the bot is on GitHub, and where GitHub is.

use super::blob_cache::BlobCache;
use super::error::GithubError;
use super::people::Identity;
use super::requests::WriteGate;
use crate::model::RepositoryName;
use http::Uri;
use octocrab::models::AppId;
use octocrab::{Octocrab, auth::EncodingKey};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How the bot proves who it is.
#[derive(Debug, Clone)]
pub enum GithubAuth {
    /// As a GitHub App: its id and its private key in PEM. Its installation is found by the repository, and its
    /// tokens are good for that repository alone.
    App {
        /// The App's id.
        app_id: u64,
        /// The App's private key, PEM.
        private_key: SecretString,
    },
    /// With a token. Only an App may write check runs, so a commit status takes their place.
    Token(SecretString),
    /// Not at all: whoever has no business with GitHub is given nothing to prove it with, and every request is refused.
    Nobody,
}

/// What a [`GithubClient`] needs to know.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// The one repository it is about.
    pub repository: RepositoryName,
    /// How the bot proves who it is.
    pub auth: GithubAuth,
    /// Where the API is, with or without a path: `https://api.github.com`, `https://ghe.example.com/api/v3`.
    pub api_url: String,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for one whole answer.
    pub request_timeout: Duration,
    /// The pause after a write before the next one starts. GitHub asks for a second.
    pub write_interval: Duration,
    /// The longest wait for a rate limit to pass; a longer one comes back as [`GithubError::RateLimited`].
    pub longest_wait: Duration,
    /// The pause before the second try; it doubles from then on.
    pub retry_delay: Duration,
}

impl GithubSettings {
    /// The usual settings for github.com.
    #[must_use]
    pub fn new(repository: RepositoryName, auth: GithubAuth) -> Self {
        Self {
            repository,
            auth,
            api_url: "https://api.github.com".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            write_interval: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            retry_delay: Duration::from_millis(500),
        }
    }
}

/// GitHub's API, as far as the bot uses it, for one repository.
///
/// Reads are tried again when GitHub does not answer, answers 5xx or limits the rate for a short while; writes only
/// when that cannot do a thing twice. Writes go one at a time, with a pause between them.
pub struct GithubClient {
    pub(super) settings: GithubSettings,
    pub(super) access: Access,
    pub(super) identity: OnceCell<Identity>,
    pub(super) gate: Mutex<WriteGate>,
    pub(super) blobs: std::sync::Mutex<BlobCache>,
}

/// The library's clients; its own retries are not compiled in.
pub(super) enum Access {
    App {
        app_id: u64,
        /// Signs as the App itself.
        app: Arc<Octocrab>,
        /// Signs with the installation's token. Shared, not cloned: a clone would fetch a token of its own.
        installation: Mutex<Option<Arc<Octocrab>>>,
    },
    Token(Arc<Octocrab>),
    Nobody,
}

/// Neither secrets nor their places.
impl fmt::Debug for GithubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubClient")
            .field("repository", &self.settings.repository.to_string())
            .field("api_url", &self.settings.api_url)
            .finish_non_exhaustive()
    }
}

impl GithubClient {
    /// Makes a client; asks GitHub nothing yet. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`GithubError::Settings`]: an address that is none, a private key that is not PEM, an empty token, no runtime.
    pub fn new(settings: GithubSettings) -> Result<Self, GithubError> {
        // The library starts a task for its connections and would panic without a runtime.
        tokio::runtime::Handle::try_current()
            .map_err(|_| GithubError::Settings("no tokio runtime is running".to_owned()))?;
        let base = base_uri(&settings.api_url)?;
        let builder = Octocrab::builder()
            .base_uri(base)
            .map_err(|_| not_an_address(&settings.api_url))?
            .set_connect_timeout(Some(settings.connect_timeout))
            .set_read_timeout(Some(settings.request_timeout));
        let built = |octocrab: octocrab::Result<Octocrab>| {
            octocrab.map_err(|_| {
                GithubError::Settings(
                    "no client for GitHub: are CA certificates installed?".to_owned(),
                )
            })
        };
        let access = match &settings.auth {
            GithubAuth::App {
                app_id,
                private_key,
            } => {
                let pem = private_key.expose_secret().trim().as_bytes();
                // The parser's own words could repeat parts of the key.
                let key = EncodingKey::from_rsa_pem(pem).map_err(|_| {
                    GithubError::Settings(
                        "the GitHub App's private key is not an RSA key in PEM (`-----BEGIN RSA PRIVATE KEY-----`)"
                            .to_owned(),
                    )
                })?;
                Access::App {
                    app_id: *app_id,
                    app: Arc::new(built(builder.app(AppId(*app_id), key).build())?),
                    installation: Mutex::new(None),
                }
            }
            GithubAuth::Nobody => Access::Nobody,
            GithubAuth::Token(token) => {
                let token = token.expose_secret().trim();
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(GithubError::Settings(
                        "the GitHub token is empty or has characters that no token has".to_owned(),
                    ));
                }
                // Not `personal_token`: that panics on odd tokens and does not mark its header as sensitive.
                let octocrab = built(builder.build())?.user_access_token(token);
                Access::Token(Arc::new(built(octocrab)?))
            }
        };
        Ok(Self {
            settings,
            access,
            identity: OnceCell::new(),
            gate: Mutex::new(WriteGate::default()),
            blobs: std::sync::Mutex::new(BlobCache::default()),
        })
    }

    /// The repository it is about.
    #[must_use]
    pub fn repository_name(&self) -> &RepositoryName {
        &self.settings.repository
    }

    /// Whether it signs as an App, which alone may write check runs.
    #[must_use]
    pub fn is_app(&self) -> bool {
        matches!(self.access, Access::App { .. })
    }

    /// The path of something of the repository's: `/repos/owner/name/` and `rest`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.settings.repository)
    }
}

fn base_uri(api_url: &str) -> Result<Uri, GithubError> {
    let base: Uri = api_url
        .trim_end_matches('/')
        .parse()
        .map_err(|_| not_an_address(api_url))?;
    match base.scheme_str() {
        Some("http" | "https") if base.authority().is_some() => Ok(base),
        _ => Err(not_an_address(api_url)),
    }
}

fn not_an_address(api_url: &str) -> GithubError {
    GithubError::Settings(format!(
        "`{api_url}` is not the address of GitHub's API: write it as https://api.github.com"
    ))
}
