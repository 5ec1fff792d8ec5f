//! The few fields of GitHub's webhook payloads that the bot reads. Everything else may come, go or change its type.

use serde::Deserialize;

/// What every payload may have.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) action: Option<String>,
    pub(super) repository: Option<RepositoryPayload>,
    pub(super) sender: Option<UserPayload>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RepositoryPayload {
    pub(super) full_name: String,
    pub(super) default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserPayload {
    pub(super) id: u64,
    pub(super) login: String,
    /// `User`, `Bot`, `Organization`, `Mannequin`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequestEvent {
    pub(super) pull_request: PullRequestPayload,
    pub(super) changes: Option<Changes>,
    /// Only with `synchronize`: the head before the push.
    pub(super) before: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    /// Only when the pull request was moved to another base branch.
    pub(super) base: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequestPayload {
    pub(super) number: u64,
    /// `None` for an account that is gone.
    pub(super) user: Option<UserPayload>,
    #[serde(default)]
    pub(super) draft: bool,
    pub(super) merged: Option<bool>,
    pub(super) merge_commit_sha: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) head: Branch,
    pub(super) base: Branch,
}

#[derive(Debug, Deserialize)]
pub(super) struct Branch {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) sha: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PushEvent {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) before: String,
    pub(super) after: String,
    #[serde(default)]
    pub(super) deleted: bool,
    pub(super) head_commit: Option<CommitPayload>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommitPayload {
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct IssueCommentEvent {
    pub(super) issue: IssuePayload,
    pub(super) comment: CommentPayload,
}

#[derive(Debug, Deserialize)]
pub(super) struct IssuePayload {
    pub(super) number: u64,
    /// Only there when the issue is a pull request.
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommentPayload {
    pub(super) id: u64,
    pub(super) user: Option<UserPayload>,
    pub(super) body: Option<String>,
    pub(super) updated_at: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRunEvent {
    pub(super) check_run: CheckRunPayload,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRunPayload {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) head_sha: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuiteEvent {
    pub(super) check_suite: CheckSuitePayload,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuitePayload {
    pub(super) id: u64,
    pub(super) head_sha: String,
    pub(super) updated_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PingEvent {
    pub(super) zen: Option<String>,
    pub(super) hook_id: Option<u64>,
}
