//! Texts of the bot's own: each carries a hidden marker, by which it is found again and written once.

use super::client::GithubClient;
use super::error::GithubError;
use super::payload::UserPayload;
use super::people::Identity;
use super::render::COMMENT_LIMIT;
use super::requests::Repeat;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How often something new is tried when it is unknown whether it was written.
const ATTEMPTS: usize = 3;

/// Whether the bot itself wrote it and it has the marker; anybody may copy a marker.
pub(super) fn is_ours(
    me: &Identity,
    user: Option<&UserPayload>,
    body: Option<&str>,
    marker: &str,
) -> bool {
    user.is_some_and(|user| me.is(user.id, &user.login))
        && body.is_some_and(|body| body.contains(marker))
}

/// The text with its marker, which becomes its first line where it is missing. GitHub's own check of the length would
/// come only after a request, and its text differs.
pub(super) fn marked(marker: &str, body: &str, what: String) -> Result<String, GithubError> {
    let body = if body.contains(marker) {
        body.to_owned()
    } else {
        format!("{marker}\n{body}")
    };
    let length = body.chars().count();
    if length > COMMENT_LIMIT {
        return Err(GithubError::Validation {
            what,
            message: format!("{length} characters; it may have at most {COMMENT_LIMIT}"),
        });
    }
    Ok(body)
}

impl GithubClient {
    /// Writes something new. When it is unknown whether it was written, `look` looks for it before it is written again.
    pub(super) async fn write_new<T, Looking>(
        &self,
        path: &str,
        json: &Value,
        look: impl Fn() -> Looking,
    ) -> Result<T, GithubError>
    where
        T: DeserializeOwned,
        Looking: Future<Output = Result<Option<T>, GithubError>>,
    {
        let mut attempt = 1;
        loop {
            let result = self
                .write(Method::POST, path, json, Repeat::OnlyIfUndone)
                .await;
            match result {
                Err(error) if error.may_have_happened() && attempt < ATTEMPTS => {
                    tracing::warn!(path, attempt, "{error}; looking whether it was written");
                    tokio::time::sleep(self.settings.retry_delay).await;
                    if let Some(written) = look().await? {
                        return Ok(written);
                    }
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}
