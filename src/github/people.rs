//! Who the bot is, what others may do, and what GitHub's servers show as their SSH host keys.

use super::client::{Access, GithubClient};
use super::error::GithubError;
use super::payload::UserPayload;
use super::pulls::segment;
use super::requests::Freshness;
use serde::Deserialize;

/// The account that comments written with an Actions job's own token belong to.
const ACTIONS_BOT: &str = "github-actions[bot]";

/// What somebody may do in the repository, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing.
    None,
    /// See it; `triage` is counted here, as GitHub does.
    Read,
    /// Push to it; `maintain` is counted here.
    Write,
    /// Everything.
    Admin,
}

/// The account that the bot's own comments belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id, where GitHub tells it: not for an App.
    pub id: Option<u64>,
    /// Its login: `layersmith[bot]`.
    pub login: String,
}

impl Identity {
    /// Whether an account is the bot's own.
    #[must_use]
    pub fn is(&self, id: u64, login: &str) -> bool {
        match self.id {
            Some(own) => own == id,
            None => self.login.eq_ignore_ascii_case(login),
        }
    }
}

#[derive(Deserialize)]
struct App {
    slug: String,
}

#[derive(Deserialize)]
struct Collaborator {
    permission: String,
    user: Option<UserPayload>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    ssh_keys: Vec<String>,
}

impl GithubClient {
    /// Who the bot is; asked of GitHub once.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn identity(&self) -> Result<&Identity, GithubError> {
        self.identity
            .get_or_try_init(|| async {
                if matches!(self.access, Access::App { .. }) {
                    let app: App = self.read_as_app("/app").await?;
                    return Ok(Identity {
                        id: None,
                        login: format!("{}[bot]", app.slug),
                    });
                }
                match self.read::<UserPayload>("/user", Freshness::Settled).await {
                    Ok(user) => Ok(Identity {
                        id: Some(user.id),
                        login: user.login,
                    }),
                    // The token of an Actions job is no user's and may not ask who it is.
                    Err(GithubError::Forbidden { .. }) => Ok(Identity {
                        id: None,
                        login: ACTIONS_BOT.to_owned(),
                    }),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// What the person with this id may do, as of now. The API asks by login, and logins change hands: an answer
    /// about somebody else is not believed, and the person's present login is asked about instead.
    ///
    /// # Errors
    /// See [`GithubError`]. An account that is gone, or of which GitHub says nothing, may do nothing.
    pub async fn permission_of(&self, login: &str, id: u64) -> Result<Permission, GithubError> {
        if let Some(permission) = self.permission_by_login(login, id).await? {
            return Ok(permission);
        }
        let path = format!("/user/{id}");
        let account = self.read::<UserPayload>(&path, Freshness::Settled).await;
        let now = match found(account)? {
            Some(user) if user.id == id => user.login,
            _ => return Ok(Permission::None),
        };
        let permission = self.permission_by_login(&now, id).await?;
        Ok(permission.unwrap_or(Permission::None))
    }

    /// `None` when the answer is about another account, or there is no account of that name.
    async fn permission_by_login(
        &self,
        login: &str,
        id: u64,
    ) -> Result<Option<Permission>, GithubError> {
        let path = self.path(&format!("collaborators/{}/permission", segment(login)));
        let answer = self.read::<Collaborator>(&path, Freshness::Settled).await;
        let Some(answer) = found(answer)? else {
            return Ok(None);
        };
        if answer.user.is_none_or(|user| user.id != id) {
            return Ok(None);
        }
        match answer.permission.as_str() {
            "admin" => Ok(Some(Permission::Admin)),
            "write" | "maintain" => Ok(Some(Permission::Write)),
            "read" | "triage" => Ok(Some(Permission::Read)),
            "none" => Ok(Some(Permission::None)),
            other => Err(GithubError::unexpected(
                &format!("GET {path}"),
                format!("unknown permission `{other}`"),
            )),
        }
    }

    /// GitHub's SSH host keys as lines for `known_hosts`: `github.com ssh-ed25519 AAAA…`.
    /// For a GitHub Enterprise Server, whose API does not tell them, this is empty.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn host_keys(&self) -> Result<Vec<String>, GithubError> {
        let meta: Meta = self.read("/meta", Freshness::Settled).await?;
        Ok(meta
            .ssh_keys
            .iter()
            .filter(|key| is_key(key))
            .map(|key| format!("github.com {key}"))
            .collect())
    }
}

/// A type and base64, nothing else: a line break or a comment could smuggle in another host.
fn is_key(key: &str) -> bool {
    let Some((kind, data)) = key.split_once(' ') else {
        return false;
    };
    let of = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    of(kind, b"-@.") && of(data, b"+/=")
}

/// Turns "not there" into `None`.
fn found<T>(result: Result<T, GithubError>) -> Result<Option<T>, GithubError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
