//! What the bot says in a conversation: one living comment, answers to commands, reactions.

use super::client::GithubClient;
use super::error::GithubError;
use super::marked::{is_ours, marked};
use super::payload::UserPayload;
use super::requests::Repeat;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

/// A small answer to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Seen.
    Eyes,
    /// Done, or agreed.
    PlusOne,
    /// Not understood, or not allowed.
    Confused,
}

impl Reaction {
    fn content(self) -> &'static str {
        match self {
            Self::Eyes => "eyes",
            Self::PlusOne => "+1",
            Self::Confused => "confused",
        }
    }
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    user: Option<UserPayload>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
}

impl GithubClient {
    /// Writes the living comment of a pull request, or edits it in place; returns its id, to be handed in as
    /// `known_id` the next time. A comment that is not known, or that somebody deleted, is looked for by the hidden
    /// `marker` among the bot's own comments. A body without the marker gets it as its first line.
    ///
    /// # Errors
    /// [`GithubError::Validation`] over [`super::COMMENT_LIMIT`]; otherwise see [`GithubError`].
    pub async fn put_comment(
        &self,
        number: u64,
        marker: &str,
        body: &str,
        known_id: Option<u64>,
    ) -> Result<u64, GithubError> {
        let body = self.marked_comment(number, marker, body)?;
        if let Some(id) = known_id {
            match self.edit_comment(id, &body).await {
                Err(error) if error.is_not_found() => {}
                result => return result.map(|()| id),
            }
        }
        match self.find_comment(number, marker).await? {
            Some(comment) if comment.body.as_deref() == Some(&body) => Ok(comment.id),
            Some(comment) => {
                self.edit_comment(comment.id, &body).await?;
                Ok(comment.id)
            }
            None => self.create_comment(number, marker, &body).await,
        }
    }

    /// Answers in a new comment, once per `marker`: a second call returns the first one's comment, unchanged.
    ///
    /// # Errors
    /// As [`Self::put_comment`].
    pub async fn reply(&self, number: u64, marker: &str, body: &str) -> Result<u64, GithubError> {
        let body = self.marked_comment(number, marker, body)?;
        match self.find_comment(number, marker).await? {
            Some(comment) => Ok(comment.id),
            None => self.create_comment(number, marker, &body).await,
        }
    }

    /// Reacts to a comment. May be repeated.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn react(&self, comment_id: u64, reaction: Reaction) -> Result<(), GithubError> {
        let path = self.path(&format!("issues/comments/{comment_id}/reactions"));
        let body = json!({ "content": reaction.content() });
        let _: IgnoredAny = self.write(Method::POST, &path, &body, Repeat::Safe).await?;
        Ok(())
    }

    fn marked_comment(&self, number: u64, marker: &str, body: &str) -> Result<String, GithubError> {
        let what = format!("comment on {}#{number}", self.settings.repository);
        marked(marker, body, what)
    }

    /// The first comment with the marker that the bot itself wrote; anybody may copy a marker.
    async fn find_comment(
        &self,
        number: u64,
        marker: &str,
    ) -> Result<Option<Comment>, GithubError> {
        let me = self.identity().await?;
        let path = self.path(&format!("issues/{number}/comments"));
        self.search_pages(&path, |page: Vec<Comment>| {
            page.into_iter()
                .find(|comment| is_ours(me, comment.user.as_ref(), comment.body.as_deref(), marker))
        })
        .await
    }

    async fn edit_comment(&self, id: u64, body: &str) -> Result<(), GithubError> {
        let path = self.path(&format!("issues/comments/{id}"));
        let body = json!({ "body": body });
        let _: IgnoredAny = self
            .write(Method::PATCH, &path, &body, Repeat::Safe)
            .await?;
        Ok(())
    }

    async fn create_comment(
        &self,
        number: u64,
        marker: &str,
        body: &str,
    ) -> Result<u64, GithubError> {
        let path = self.path(&format!("issues/{number}/comments"));
        let json = json!({ "body": body });
        let written: Written = self
            .write_new(&path, &json, || async {
                let found = self.find_comment(number, marker).await?;
                Ok(found.map(|comment| Written { id: comment.id }))
            })
            .await?;
        Ok(written.id)
    }
}
