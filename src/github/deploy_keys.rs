//! The repository's deploy keys: SSH keys that are good for it alone.

use super::client::GithubClient;
use super::error::GithubError;
use super::requests::Repeat;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

/// A deploy key as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeployKeyEntry {
    /// What the list of keys shows beside it.
    pub title: String,
    /// The public half: `ssh-ed25519 AAAA…`, with or without a comment.
    pub key: String,
    /// Whether it may only fetch.
    pub read_only: bool,
}

impl DeployKeyEntry {
    /// Whether it is this public half; comments do not count.
    #[must_use]
    pub fn is(&self, public: &str) -> bool {
        let bare = |key: &str| -> Vec<String> {
            let words = key.split_whitespace().take(2);
            words.map(str::to_owned).collect()
        };
        bare(&self.key) == bare(public)
    }
}

impl GithubClient {
    /// Every deploy key of the repository. Needs the right to administrate it.
    ///
    /// # Errors
    /// See [`GithubError`]; without the right [`GithubError::Forbidden`] for an App, [`GithubError::NotFound`] for a token.
    pub async fn deploy_keys(&self) -> Result<Vec<DeployKeyEntry>, GithubError> {
        let mut keys = Vec::new();
        self.search_pages(&self.path("keys"), |page: Vec<DeployKeyEntry>| {
            keys.extend(page);
            None::<()>
        })
        .await?;
        Ok(keys)
    }

    /// Lets a key push to the repository. Needs the right to administrate it.
    ///
    /// # Errors
    /// As [`Self::deploy_keys`]; [`GithubError::Validation`] when the key is in use already, here or elsewhere.
    pub async fn add_deploy_key(&self, title: &str, public: &str) -> Result<(), GithubError> {
        let body = json!({ "title": title, "key": public, "read_only": false });
        let path = self.path("keys");
        let _: IgnoredAny = self
            .write(Method::POST, &path, &body, Repeat::OnlyIfUndone)
            .await?;
        Ok(())
    }
}
