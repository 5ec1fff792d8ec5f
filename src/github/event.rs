//! A delivery's body becomes something that happened, or a reason why nobody need act on it. Pure.
//!
//! Deliberately forgiving: a payload is a hint that something changed, so only the few fields that are used are
//! read, and a kind of event nobody knows is set aside, not refused.

use super::check_report::CHECK_NAME;
use super::payload::{
    CheckRunEvent, CheckSuiteEvent, Envelope, IssueCommentEvent, PingEvent, PullRequestEvent,
    PullRequestPayload, PushEvent, UserPayload,
};
use super::render::is_marked;
use crate::model::RepositoryName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The account GitHub shows in place of one that was deleted: <https://github.com/ghost>.
const GHOST: (u64, &str) = (10137, "ghost");

/// What a delivery comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Something the bot acts on.
    Act(Happening),
    /// Nothing the bot acts on.
    Ignore {
        /// Why, for the log: `issues is not an event the bot acts on`.
        reason: String,
    },
}

/// Something that happened on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// Made from what happened, so that two deliveries of it (a hook of the repository and one of an App have
    /// different delivery ids) have the same key: `pull_request/7/opened/<head>/<base>`, `comment/5/<updated_at>`.
    pub key: String,
    /// What happened.
    pub what: What,
}

/// The things the bot acts on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A pull request to the default branch was opened, pushed to, reopened, made ready or moved there.
    PullRequestChanged {
        /// Its number.
        number: u64,
        /// The commit it proposes.
        head_sha: String,
        /// The tip of its base branch, as far as this delivery knows.
        base_sha: String,
        /// Who opened it.
        author: Person,
        /// Whether it is a draft.
        draft: bool,
    },
    /// A pull request to the default branch was closed or merged.
    PullRequestClosed {
        /// Its number.
        number: u64,
        /// Whether it was merged.
        merged: bool,
        /// The commit on the default branch, if it was merged.
        merge_commit_sha: Option<String>,
        /// The default branch.
        base_ref: String,
    },
    /// The default branch points elsewhere.
    DefaultBranchPushed {
        /// The commit it points at now.
        after: String,
        /// The commit it pointed at before; forty zeros for a new branch.
        before: String,
        /// A hint, no proof: whether an App's account pushed. With a deploy key GitHub names the person who added it.
        pusher_is_bot: bool,
        /// The message of the newest commit.
        head_commit_message: Option<String>,
    },
    /// A person wrote a new comment on a pull request.
    Commented {
        /// The pull request.
        number: u64,
        /// The comment.
        comment_id: u64,
        /// Who wrote it.
        author: Person,
        /// Markdown, as it was written.
        body: String,
    },
    /// Somebody pressed "re-run" on the bot's check run, or on all checks of a commit.
    CheckRequested {
        /// The commit.
        head_sha: String,
    },
    /// GitHub tries out the webhook.
    Ping {
        /// A line of wisdom.
        zen: Option<String>,
    },
}

/// An account on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Never changes and is never used again, unlike the login.
    pub id: u64,
    /// What it is called at the moment.
    pub login: String,
    /// Whether it is an App's account.
    pub is_bot: bool,
}

/// Why a delivery's body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON at all.
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but an array, a string, a number or nothing.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Lacks a field that every payload of this event has.
    #[error("this is no {event} payload of GitHub: {source}")]
    Incomplete {
        /// The event's name.
        event: String,
        /// What is missing or wrong.
        source: serde_json::Error,
    },
}

/// Reads a delivery: `name` is the `X-GitHub-Event` header, `body` the raw body, `repository` the one that is served.
///
/// # Errors
/// See [`EventError`]. An unknown event, another repository or an action the bot does nothing about is no error.
pub fn read_event(
    name: &str,
    body: &[u8],
    repository: &RepositoryName,
) -> Result<Received, EventError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            Ok(_) => Err(EventError::NotAnObject),
            Err(error) => Err(EventError::NotJson(error)),
        };
    }
    let envelope: Envelope = read(name, body)?;
    if name == "ping" {
        let ping: PingEvent = read(name, body)?;
        let hook = ping.hook_id.unwrap_or_default();
        return Ok(act(format!("ping/{hook}"), What::Ping { zen: ping.zen }));
    }
    match &envelope.repository {
        Some(other) if repository.is(&other.full_name) => {}
        Some(other) => return Ok(ignore(format!("{} is not served here", other.full_name))),
        None => return Ok(ignore(format!("{name} is not about a repository"))),
    }
    match name {
        "pull_request" => Ok(pull_request(&envelope, read(name, body)?)),
        "push" => Ok(push(&envelope, read(name, body)?)),
        "issue_comment" => Ok(issue_comment(&envelope, read(name, body)?)),
        "check_run" => Ok(check_run(&envelope, read(name, body)?)),
        "check_suite" => Ok(check_suite(&envelope, &read(name, body)?)),
        _ => Ok(ignore(format!("{name} is not an event the bot acts on"))),
    }
}

fn read<T: DeserializeOwned>(name: &str, body: &[u8]) -> Result<T, EventError> {
    serde_json::from_slice(body).map_err(|source| {
        if source.is_data() {
            EventError::Incomplete {
                event: name.to_owned(),
                source,
            }
        } else {
            EventError::NotJson(source)
        }
    })
}

fn act(key: String, what: What) -> Received {
    Received::Act(Happening { key, what })
}

fn ignore(reason: impl Into<String>) -> Received {
    Received::Ignore {
        reason: reason.into(),
    }
}

impl Envelope {
    fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    fn default_branch(&self) -> Option<&str> {
        self.repository.as_ref()?.default_branch.as_deref()
    }
}

impl Person {
    pub(super) fn new(user: Option<UserPayload>) -> Self {
        match user {
            Some(user) => Self {
                is_bot: is_bot(&user),
                id: user.id,
                login: user.login,
            },
            None => Self {
                id: GHOST.0,
                login: GHOST.1.to_owned(),
                is_bot: false,
            },
        }
    }
}

/// Apps' accounts have the type `Bot`, and nobody else can have brackets in a login.
fn is_bot(user: &UserPayload) -> bool {
    user.kind.as_deref() == Some("Bot") || user.login.ends_with("[bot]")
}

fn pull_request(envelope: &Envelope, event: PullRequestEvent) -> Received {
    let action = envelope.action();
    let pull_request = event.pull_request;
    let moved = event.changes.is_some_and(|changes| changes.base.is_some());
    let changed = match action {
        "opened" | "reopened" | "synchronize" | "ready_for_review" => true,
        "edited" if moved => true,
        "closed" => false,
        _ => return ignore(format!("a pull request was {action}")),
    };
    if envelope.default_branch() != Some(pull_request.base.name.as_str()) {
        let base = pull_request.base.name;
        return ignore(format!("the base {base} is not the default branch"));
    }
    let key = pull_request_key(action, &pull_request, event.before.as_deref());
    let number = pull_request.number;
    let what = if changed {
        What::PullRequestChanged {
            number,
            head_sha: pull_request.head.sha,
            base_sha: pull_request.base.sha,
            author: Person::new(pull_request.user),
            draft: pull_request.draft,
        }
    } else {
        let merged = pull_request.merged.unwrap_or(false);
        What::PullRequestClosed {
            number,
            merged,
            merge_commit_sha: pull_request.merge_commit_sha.filter(|_| merged),
            base_ref: pull_request.base.name,
        }
    };
    act(key, what)
}

/// A pull request is opened once, but closed, reopened or pushed back to an earlier head any number of times: what
/// may repeat has its time in the key.
fn pull_request_key(
    action: &str,
    pull_request: &PullRequestPayload,
    before: Option<&str>,
) -> String {
    let mut key = format!(
        "pull_request/{}/{action}/{}/{}",
        pull_request.number, pull_request.head.sha, pull_request.base.sha
    );
    if action != "opened" {
        for part in [before, pull_request.updated_at.as_deref()]
            .into_iter()
            .flatten()
        {
            key.push('/');
            key.push_str(part);
        }
    }
    key
}

fn push(envelope: &Envelope, event: PushEvent) -> Received {
    let reference = event.reference;
    let Some(branch) = reference.strip_prefix("refs/heads/") else {
        return ignore(format!("{reference} is not a branch"));
    };
    if envelope.default_branch() != Some(branch) {
        return ignore(format!("{branch} is not the default branch"));
    }
    if event.deleted || event.after.bytes().all(|digit| digit == b'0') {
        return ignore(format!("{branch} was deleted"));
    }
    act(
        format!("push/{reference}/{}/{}", event.before, event.after),
        What::DefaultBranchPushed {
            pusher_is_bot: envelope.sender.as_ref().is_some_and(is_bot),
            head_commit_message: event.head_commit.map(|commit| commit.message),
            after: event.after,
            before: event.before,
        },
    )
}

fn issue_comment(envelope: &Envelope, event: IssueCommentEvent) -> Received {
    let number = event.issue.number;
    if envelope.action() != "created" {
        return ignore(format!("a comment was {}", envelope.action()));
    }
    if event.issue.pull_request.is_none() {
        return ignore(format!("#{number} is not a pull request"));
    }
    let author = Person::new(event.comment.user);
    if author.is_bot {
        return ignore(format!("{} is a bot", author.login));
    }
    let body = event.comment.body.unwrap_or_default();
    if is_marked(&body) {
        return ignore("the bot's own comment");
    }
    act(
        format!("comment/{}/{}", event.comment.id, event.comment.updated_at),
        What::Commented {
            number,
            comment_id: event.comment.id,
            author,
            body,
        },
    )
}

/// GitHub sends `rerequested` only to the App that made the check run. The run is complete then and the bot starts
/// a new one, so its id is enough of a key.
fn check_run(envelope: &Envelope, event: CheckRunEvent) -> Received {
    let run = event.check_run;
    match envelope.action() {
        "rerequested" if run.name == CHECK_NAME => act(
            format!("check_run/{}/rerequested", run.id),
            What::CheckRequested {
                head_sha: run.head_sha,
            },
        ),
        "rerequested" => ignore(format!("the check run {} is somebody else's", run.name)),
        action => ignore(format!("a check run was {action}")),
    }
}

fn check_suite(envelope: &Envelope, event: &CheckSuiteEvent) -> Received {
    let suite = &event.check_suite;
    match envelope.action() {
        "rerequested" => act(
            format!(
                "check_suite/{}/rerequested/{}",
                suite.id,
                suite.updated_at.as_deref().unwrap_or_default()
            ),
            What::CheckRequested {
                head_sha: suite.head_sha.clone(),
            },
        ),
        action => ignore(format!("a check suite was {action}")),
    }
}
