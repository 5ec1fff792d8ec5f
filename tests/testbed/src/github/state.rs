//! What the double knows: repositories, people, conversations, checks, deliveries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::faults::PlannedFault;
use super::git::{BareRepository, Identity};
use crate::support::timestamp;

/// What a person may do in a repository, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// GitHub's older scale, which knows only four steps.
    pub(crate) fn legacy(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}

/// An account. `kind` is `User`, `Bot` or `Organization`.
#[derive(Clone, Debug)]
pub struct User {
    pub id: u64,
    pub login: String,
    pub kind: &'static str,
}

impl User {
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            name: self.login.clone(),
            email: format!("{}+{}@users.noreply.github.com", self.id, self.login),
        }
    }
}

/// A comment in a conversation. Times are RFC 3339.
#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub pull: u64,
    pub author: String,
    pub body: String,
    pub created_at: String,
    pub updated_at: String,
    /// Who reacted with what: `eyes`, `rocket`, `+1`…
    pub reactions: Vec<(String, String)>,
    pub(crate) by_app: bool,
}

/// A check run as the checks tab shows it.
#[derive(Clone, Debug)]
pub struct CheckRun {
    pub id: u64,
    pub name: String,
    pub head_sha: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub details_url: Option<String>,
    pub external_id: Option<String>,
    pub started_at: Option<String>,
    pub completed_at: Option<String>,
    pub annotations: Vec<Annotation>,
    pub actions: Vec<Value>,
}

/// A remark of a check run on lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub path: String,
    pub start_line: u64,
    pub end_line: u64,
    pub start_column: Option<u64>,
    pub end_column: Option<u64>,
    pub level: String,
    pub message: String,
    pub title: Option<String>,
    pub raw_details: Option<String>,
}

/// A commit status, newest last in a list.
#[derive(Clone, Debug)]
pub struct CommitStatus {
    pub id: u64,
    pub sha: String,
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub created_at: String,
    pub creator: String,
}

/// One request the double was sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: Option<Value>,
    /// 0 when the connection was cut or the answer never came.
    pub status: u16,
}

/// One attempt to deliver a web hook. A redelivery is an attempt of its own with the same GUID.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: u64,
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    pub payload: Value,
    pub redelivery: bool,
    pub delivered_at: String,
    /// What the hook answered; 0 before, 502 when there was no answer.
    pub status: u16,
    pub answer: String,
    pub seconds: f64,
    pub(crate) repository_id: Option<u64>,
}

/// An issue that is no pull request. Times are RFC 3339.
#[derive(Clone, Debug)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub author: String,
    pub open: bool,
    /// Why it was closed, or `reopened`.
    pub state_reason: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub closed_at: Option<String>,
    pub(crate) by_app: bool,
}

/// An SSH key that is good for one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployKey {
    pub id: u64,
    pub title: String,
    /// Its type and its data, without a comment.
    pub key: String,
    pub read_only: bool,
    pub(crate) created_at: String,
}

pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) open: bool,
    pub(crate) draft: bool,
    pub(crate) base: String,
    /// Where the base branch was when the pull request was last touched: what GitHub's `base.sha` says.
    pub(crate) base_sha: String,
    pub(crate) head_repository: String,
    pub(crate) head_branch: String,
    pub(crate) head_sha: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) merged: Option<Merge>,
}

pub(crate) struct Merge {
    pub(crate) at: String,
    pub(crate) by: String,
    pub(crate) sha: String,
}

pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) default_branch: String,
    pub(crate) git: BareRepository,
    pub(crate) parent: Option<String>,
    pub(crate) installed: bool,
    pub(crate) created_at: String,
    pub(crate) pushed_at: String,
    pub(crate) next_number: u64,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    pub(crate) statuses: Vec<CommitStatus>,
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) deploy_keys: Vec<DeployKey>,
    /// The branches as of the last push event.
    pub(crate) known_branches: BTreeMap<String, String>,
}

impl Repository {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(crate) fn permission(&self, login: &str) -> Permission {
        let given = self.permissions.get(login).copied();
        let public = if self.private {
            Permission::None
        } else {
            Permission::Read
        };
        if login == self.owner {
            Permission::Admin
        } else {
            given.unwrap_or(public)
        }
    }
}

pub(crate) struct InstallationToken {
    pub(crate) expires_at: OffsetDateTime,
    /// Permission → `read` or `write`.
    pub(crate) permissions: BTreeMap<String, String>,
    /// Full names; `None` is all that the installation has.
    pub(crate) repositories: Option<Vec<String>>,
}

pub(crate) struct AppIdentity {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) owner: String,
    pub(crate) installation_id: u64,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) private_key_pem: String,
    pub(crate) public_key_pem: Vec<u8>,
    pub(crate) token_lifetime: Duration,
}

impl AppIdentity {
    pub(crate) fn bot(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// How web hooks travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryMode {
    /// At once, once.
    #[default]
    Automatic,
    /// At once, twice with the same GUID.
    Twice,
    /// When [`deliver_pending`](super::GithubDouble::deliver_pending) is called.
    Manual,
    /// Never: recorded as failed, as when the receiver is down.
    Lost,
}

pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) url: Option<String>,
    pub(crate) secret: String,
    pub(crate) mode: DeliveryMode,
}

pub(crate) struct State {
    pub(crate) api_url: String,
    pub(crate) root: PathBuf,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) first_repository: Option<String>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) app: AppIdentity,
    pub(crate) tokens: BTreeMap<String, InstallationToken>,
    pub(crate) personal_tokens: BTreeMap<String, String>,
    /// By code: the manifests that a person said yes to and nobody has exchanged yet.
    pub(crate) manifests: BTreeMap<String, Value>,
    pub(crate) hook: Hook,
    pub(crate) announce_api_comments: bool,
    pub(crate) deliveries: Vec<Delivery>,
    /// Ids of deliveries that wait to be sent.
    pub(crate) outbox: Vec<u64>,
    pub(crate) requests: Vec<Request>,
    pub(crate) violations: Vec<String>,
    pub(crate) faults: Vec<PlannedFault>,
    pub(crate) ssh_base: Option<String>,
    pub(crate) ssh_host_keys: Vec<String>,
    pub(crate) clock: OffsetDateTime,
    pub(crate) last_id: u64,
}

impl State {
    /// Ids as GitHub gives them: unique over everything, growing.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The double's own clock, one second later at every event: what happened later is later, and the same test
    /// makes the same commits. Tokens and deliveries, which others compare with the real clock, use that.
    pub(crate) fn tick(&mut self) -> OffsetDateTime {
        self.clock += Duration::SECOND;
        self.clock
    }

    pub(crate) fn tick_text(&mut self) -> String {
        timestamp(self.tick())
    }

    pub(crate) fn repository(&self, full_name: &str) -> &Repository {
        self.repositories.get(full_name).unwrap_or_else(|| {
            panic!("the double has no repository {full_name}: create_repository makes it")
        })
    }

    pub(crate) fn repository_mut(&mut self, full_name: &str) -> &mut Repository {
        self.repositories.get_mut(full_name).unwrap_or_else(|| {
            panic!("the double has no repository {full_name}: create_repository makes it")
        })
    }

    /// The account of that login, made when it is new.
    pub(crate) fn user(&mut self, login: &str) -> User {
        if !self.users.contains_key(login) {
            let id = self.next_id();
            let kind = if login.ends_with("[bot]") {
                "Bot"
            } else {
                "User"
            };
            self.users.insert(
                login.to_owned(),
                User {
                    id,
                    login: login.to_owned(),
                    kind,
                },
            );
        }
        self.users[login].clone()
    }

    pub(crate) fn known_user(&self, login: &str) -> User {
        self.users
            .get(login)
            .cloned()
            .unwrap_or_else(|| panic!("the double has no account {login}"))
    }
}

/// `{"message": …}` with the link every refusal of GitHub carries.
pub(crate) fn refusal(message: &str, status: u16) -> Value {
    json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()})
}
