//! Issues that the bot writes about one subject each: found by a hidden marker, edited in place, closed when it is over.

use super::client::GithubClient;
use super::error::GithubError;
use super::marked::{is_ours, marked};
use super::payload::UserPayload;
use super::pulls::segment;
use super::requests::Repeat;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

/// The longest title of an issue, in characters; GitHub answers 422 to a longer one.
pub const ISSUE_TITLE_LIMIT: usize = 256;
/// GitHub's word for an issue that somebody closed because nothing will be done about it.
const NOT_PLANNED: &str = "not_planned";

/// An issue of the bot's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text, the hidden marker included.
    pub body: String,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether a person closed it as something that nothing will be done about.
    pub is_unwanted: bool,
}

#[derive(Deserialize)]
struct IssuePayload {
    number: u64,
    title: String,
    body: Option<String>,
    state: String,
    state_reason: Option<String>,
    user: Option<UserPayload>,
    /// Pull requests are listed among the issues.
    pull_request: Option<IgnoredAny>,
}

impl From<IssuePayload> for Issue {
    fn from(payload: IssuePayload) -> Self {
        let is_open = payload.state == "open";
        Self {
            number: payload.number,
            title: payload.title,
            body: payload.body.unwrap_or_default(),
            is_open,
            is_unwanted: !is_open && payload.state_reason.as_deref() == Some(NOT_PLANNED),
        }
    }
}

impl GithubClient {
    /// The newest issue with this hidden `marker` that the bot itself wrote, open or closed; anybody may copy a marker.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn find_issue(&self, marker: &str) -> Result<Option<Issue>, GithubError> {
        let me = self.identity().await?;
        let creator = segment(&me.login);
        let path = self.path(&format!("issues?state=all&creator={creator}"));
        let found = self
            .search_pages(&path, |page: Vec<IssuePayload>| {
                page.into_iter().find(|issue| {
                    is_ours(me, issue.user.as_ref(), issue.body.as_deref(), marker)
                        && issue.pull_request.is_none()
                })
            })
            .await?;
        Ok(found.map(Issue::from))
    }

    /// Every open issue that the bot itself wrote and whose text begins with `mark`.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn open_issues(&self, mark: &str) -> Result<Vec<Issue>, GithubError> {
        let me = self.identity().await?;
        let creator = segment(&me.login);
        let path = self.path(&format!("issues?state=open&creator={creator}"));
        let mut found = Vec::new();
        self.search_pages(&path, |page: Vec<IssuePayload>| {
            found.extend(page.into_iter().filter(|issue| {
                let body = issue.body.as_deref();
                is_ours(me, issue.user.as_ref(), body, mark)
                    && body.is_some_and(|body| body.starts_with(mark))
                    && issue.pull_request.is_none()
            }));
            None::<()>
        })
        .await?;
        Ok(found.into_iter().map(Issue::from).collect())
    }

    /// Writes the issue with this hidden `marker`, or edits it in place and opens it again; returns its number. May be
    /// repeated. One that a person closed as not planned stays closed. A body without the marker gets it as its first
    /// line; a title that is too long is cut off.
    ///
    /// # Errors
    /// [`GithubError::Validation`] for a body over [`super::COMMENT_LIMIT`]; otherwise see [`GithubError`].
    pub async fn put_issue(
        &self,
        marker: &str,
        title: &str,
        body: &str,
    ) -> Result<u64, GithubError> {
        let title: String = title.chars().take(ISSUE_TITLE_LIMIT).collect();
        let body = self.marked_issue(marker, body)?;
        match self.find_issue(marker).await? {
            Some(issue) => {
                let opens = !issue.is_open && !issue.is_unwanted;
                if opens || issue.title != title || issue.body != body {
                    let mut change = json!({ "title": title, "body": body });
                    if opens {
                        change["state"] = json!("open");
                    }
                    self.change_issue(issue.number, &change).await?;
                }
                Ok(issue.number)
            }
            None => self.create_issue(marker, &title, &body).await,
        }
    }

    /// Closes the open issue with this hidden `marker` as completed, with another text where one is given; returns its
    /// number, or `None` when there is none that is open. May be repeated.
    ///
    /// # Errors
    /// As [`Self::put_issue`].
    pub async fn close_issue(
        &self,
        marker: &str,
        body: Option<&str>,
    ) -> Result<Option<u64>, GithubError> {
        let Some(issue) = self.find_issue(marker).await?.filter(|issue| issue.is_open) else {
            return Ok(None);
        };
        let mut change = json!({ "state": "closed", "state_reason": "completed" });
        if let Some(body) = body {
            change["body"] = json!(self.marked_issue(marker, body)?);
        }
        self.change_issue(issue.number, &change).await?;
        Ok(Some(issue.number))
    }

    fn marked_issue(&self, marker: &str, body: &str) -> Result<String, GithubError> {
        let what = format!("issue in {}", self.settings.repository);
        marked(marker, body, what)
    }

    async fn change_issue(
        &self,
        number: u64,
        change: &serde_json::Value,
    ) -> Result<(), GithubError> {
        let path = self.path(&format!("issues/{number}"));
        let _: IgnoredAny = self
            .write(Method::PATCH, &path, change, Repeat::Safe)
            .await?;
        Ok(())
    }

    async fn create_issue(
        &self,
        marker: &str,
        title: &str,
        body: &str,
    ) -> Result<u64, GithubError> {
        #[derive(Deserialize)]
        struct Written {
            number: u64,
        }
        let path = self.path("issues");
        let json = json!({ "title": title, "body": body });
        let written: Written = self
            .write_new(&path, &json, || async {
                let found = self.find_issue(marker).await?;
                Ok(found.map(|issue| Written {
                    number: issue.number,
                }))
            })
            .await?;
        Ok(written.number)
    }
}
