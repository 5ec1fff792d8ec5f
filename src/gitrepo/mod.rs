//! The catalog repository over SSH: fetch, write files, commit, push.
//!
//! libgit2 with libssh2, no `git` program and no working copy: a bare, shallow clone, in which trees are written
//! directly. The deploy key stays in memory, and host keys are pinned: nothing is trusted on first use, and without a
//! setting only GitHub's published keys are. A push is a success when the server says so for the branch itself.
//!
//! The address may also be a folder (`file:///path` or an absolute path) with a bare repository: no key, no hooks, for
//! trying things out on one machine.
//!
//! Deliberately absent: what the files mean, webhooks (`github`), and how a commit message is worded.

mod address;
mod commit;
mod deploy_key;
mod diagnosis;
mod edit;
mod error;
mod known_hosts;
mod local_clone;
mod loose;
mod relay;
mod stop;
mod transport;
mod tree;

pub use deploy_key::{DeployKey, public_half};
pub use edit::{Content, FolderEdit, Work};
pub use error::GitError;
pub use tree::Snapshot;

use crate::model::Timestamp;
use address::Address;
use anyhow::anyhow;
use commit::{Attempt, Change};
use error::Fault;
use known_hosts::KnownHosts;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stop::Stop;
use tokio::sync::Mutex;
use transport::Server;

/// How long a thread that was told to stop may take to say why it was not done.
const GRACE: Duration = Duration::from_secs(1);

/// Contents of files, by their paths from the root of the repository.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Who the bot's commits are by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name, such as `Layersmith`.
    pub name: String,
    /// Email address.
    pub email: String,
}

/// Where the catalog repository is, and how the bot gets in.
#[derive(Debug, Clone)]
pub struct CatalogSettings {
    /// `ssh://git@host:port/owner/name.git` or `git@host:owner/name.git`; `file:///path` or an absolute path also work.
    pub url: String,
    /// The branch written to; `None` is the one the server's `HEAD` stands for (`main` while the repository is empty).
    pub branch: Option<String>,
    /// A private key in OpenSSH or PEM format.
    pub deploy_key: Option<SecretString>,
    /// The key's passphrase, where it has one.
    pub passphrase: Option<SecretString>,
    /// Lines of a `known_hosts` file with the server's host keys, best of every type it has, as the server picks one
    /// of them; `None` is GitHub's published keys.
    pub known_hosts: Option<String>,
    /// Who the commits are by.
    pub identity: Identity,
    /// A folder for the clone, which is made in its subfolder `catalog.git` and may be deleted at any time.
    pub work_dir: PathBuf,
    /// How long one operation may take, every try counted, from when it is its turn.
    pub timeout: Duration,
}

/// What became of [`CatalogRepository::commit_folder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The folder is as it should be; nothing was committed.
    Unchanged {
        /// The commit it was found in.
        head: String,
        /// The folder's tree, as 40 hexadecimal digits; `None` when there is nothing in it.
        tree: Option<String>,
    },
    /// One commit was pushed.
    Pushed {
        /// Its 40 hexadecimal digits.
        commit: String,
        /// What it adds, changes or removes, sorted.
        paths: Vec<String>,
        /// The folder's tree in it, as 40 hexadecimal digits; `None` when there is nothing in it.
        tree: Option<String>,
    },
}

/// The catalog repository. Clones of this value share one local clone, which one operation uses at a time.
#[derive(Clone)]
pub struct CatalogRepository(Arc<Inner>);

struct Inner {
    server: Server,
    branch: Option<String>,
    identity: Identity,
    work_dir: PathBuf,
    /// Identifies what the local clone is a clone of.
    origin: String,
    /// Held by the operation that is under way, until its thread is done.
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for CatalogRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CatalogRepository({:?})", self.0.server.address)
    }
}

impl CatalogRepository {
    /// Checks the settings; nothing is connected to.
    ///
    /// # Errors
    /// [`GitError::HostKey`] for known hosts that cannot be read, [`GitError::Other`] for a wrong address or branch.
    pub fn new(settings: CatalogSettings) -> Result<Self, GitError> {
        let address = Address::parse(&settings.url)?;
        let known_hosts = KnownHosts::parse(settings.known_hosts.as_deref())?;
        if let Some(branch) = &settings.branch
            && !git2::Reference::is_valid_name(&format!("refs/heads/{branch}"))
        {
            return Err(GitError::Other(anyhow!(
                "`{branch}` is not the name of a branch"
            )));
        }
        Ok(Self(Arc::new(Inner {
            server: Server {
                address,
                known_hosts,
                deploy_key: settings.deploy_key,
                passphrase: settings.passphrase,
                timeout: settings.timeout,
            },
            branch: settings.branch,
            identity: settings.identity,
            work_dir: settings.work_dir,
            origin: settings.url,
            turn: Arc::default(),
        })))
    }

    /// Makes the files under `folder` exactly those that `render` returns, in one commit, and pushes it.
    ///
    /// `render` is given the fresh head of the branch and returns every file that shall be under the folder, by its
    /// path from the root of the repository; others under the folder are removed, those elsewhere are not touched.
    /// When somebody else pushes meanwhile, it is called again on the new head. It runs on a thread of its own and
    /// may take its time, within the timeout.
    ///
    /// # Errors
    /// Every kind of [`GitError`]. After [`GitError::Unreachable`] the push may still have arrived; doing it again is
    /// right in either case.
    pub async fn commit_folder<F>(
        &self,
        folder: &str,
        message: &str,
        now: Timestamp,
        render: F,
    ) -> Result<Committed, GitError>
    where
        F: Fn(&Snapshot<'_>) -> anyhow::Result<Files> + Send + Sync + 'static,
    {
        let folder = plain_folder(folder)?;
        let message = message.to_owned();
        self.run(move |attempt| {
            let change = Change {
                folder: &folder,
                message: &message,
                now,
            };
            attempt.commit_folder(&change, &render)
        })
        .await
    }

    /// Changes some files under `folder`, in one commit, and pushes it; `None`, and nothing is committed, when the folder
    /// is not the tree `base` at the fresh head of the branch, or `edit` answers `false`.
    ///
    /// `edit` is called as `render` of [`Self::commit_folder`] is. The files that it leaves alone cost nothing.
    ///
    /// # Errors
    /// As [`Self::commit_folder`].
    pub async fn change_folder<F>(
        &self,
        folder: &str,
        base: &str,
        message: &str,
        now: Timestamp,
        edit: F,
    ) -> Result<Option<Committed>, GitError>
    where
        F: Fn(&mut FolderEdit<'_>) -> anyhow::Result<bool> + Send + Sync + 'static,
    {
        let folder = plain_folder(folder)?;
        let (base, message) = (base.to_owned(), message.to_owned());
        self.run(move |attempt| {
            let change = Change {
                folder: &folder,
                message: &message,
                now,
            };
            attempt.change_folder(&change, &base, &edit)
        })
        .await
    }

    /// The commit at the head of the branch, as 40 hexadecimal digits. Nothing is fetched.
    ///
    /// # Errors
    /// Every kind of [`GitError`] but `Rejected` and `Raced`; `NotFound` also when the repository is empty.
    pub async fn head(&self) -> Result<String, GitError> {
        self.run(|attempt| attempt.head()).await
    }

    /// Whether the deploy key may push: the server is asked as for a push, and nothing is pushed. GitHub refuses a key that
    /// may only fetch already then; a rule that protects the branch does not show.
    ///
    /// # Errors
    /// As [`CatalogRepository::head`].
    pub async fn may_push(&self) -> Result<(), GitError> {
        self.run(|attempt| attempt.may_push()).await
    }

    /// The wanted regular files at the head of the branch, or at a commit that the server still gives, and which
    /// commit that was.
    ///
    /// # Errors
    /// As [`CatalogRepository::head`]; `NotFound` also when the commit is not there.
    pub async fn read_files(
        &self,
        commit: Option<&str>,
        wanted: fn(&str) -> bool,
    ) -> Result<(String, Files), GitError> {
        let commit = commit.map(str::to_owned);
        self.run(move |attempt| attempt.read_files(commit.as_deref(), wanted))
            .await
    }

    /// The paths that a commit adds, changes or removes, sorted; `None` when its message does not have this line.
    ///
    /// # Errors
    /// As [`CatalogRepository::head`]; `NotFound` also when the server does not give out the commit or its parent.
    pub async fn changes_of(
        &self,
        commit: &str,
        line: &str,
    ) -> Result<Option<Vec<String>>, GitError> {
        let (commit, line) = (commit.to_owned(), line.to_owned());
        self.run(move |attempt| attempt.changes_of(&commit, &line))
            .await
    }

    /// Runs an operation on a thread for blocking work, alone and in time, on a new clone if the present one is damaged.
    async fn run<T, W>(&self, work: W) -> Result<T, GitError>
    where
        T: Send + 'static,
        W: Fn(&Attempt<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let turn = Arc::clone(&inner.turn).lock_owned().await;
        let stop = Arc::new(Stop::default());
        // Also ends the thread's waiting when the caller gives up.
        let _stop_when_dropped = StopWhenDropped(Arc::clone(&stop));
        let timeout = inner.server.timeout;
        let stop_work = Arc::clone(&stop);
        let mut thread = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            inner.work(&stop_work, work)
        });
        let in_time = tokio::time::timeout(timeout, &mut thread).await;
        let ended = match in_time {
            Ok(ended) => Some(ended),
            Err(_) => {
                stop.stop();
                // The thread ends at once unless it is rendering, and then knows better what it was waiting for.
                tokio::time::timeout(GRACE, thread).await.ok()
            }
        };
        match ended {
            Some(Ok(result)) => result,
            Some(Err(panicked)) => Err(GitError::Other(
                anyhow::Error::new(panicked).context("working on the catalog repository"),
            )),
            None => Err(self.0.server.timed_out()),
        }
    }
}

impl Inner {
    fn work<T>(
        &self,
        stop: &Stop,
        work: impl Fn(&Attempt<'_>) -> Result<T, Fault>,
    ) -> Result<T, GitError> {
        let mut renewed = false;
        let result = local_clone::LocalClone::lock(&self.work_dir, &self.origin, stop).and_then(|clone| {
            loop {
                let repository = clone.open()?;
                let attempt = Attempt {
                    server: &self.server,
                    branch: self.branch.as_deref(),
                    identity: &self.identity,
                    repository: &repository,
                    stop,
                };
                match work(&attempt) {
                    Err(Fault::Damaged(error)) if !renewed => {
                        tracing::warn!(%error, "the local clone of the catalog repository is damaged: cloning anew");
                        renewed = true;
                        clone.discard()?;
                    }
                    result => return result,
                }
            }
        });
        result.map_err(|fault| match fault {
            Fault::Report(error) => error,
            Fault::Damaged(error) => GitError::Other(error.into()),
        })
    }
}

fn plain_folder(folder: &str) -> Result<String, GitError> {
    if tree::is_plain_path(folder) {
        return Ok(folder.to_owned());
    }
    Err(GitError::Other(anyhow!(
        "`{folder}` is not a folder of a repository"
    )))
}

struct StopWhenDropped(Arc<Stop>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests;
