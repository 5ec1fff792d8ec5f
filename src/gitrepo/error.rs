//! What can go wrong between the bot and the catalog repository.

/// Why an operation on the catalog repository did not succeed.
///
/// No variant carries a key, a passphrase or a password. What the server said is kept to a few kilobytes of
/// printable text.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The server's host key is unknown, revoked, or another than the pinned one. Nothing was sent to it.
    #[error("{0}")]
    HostKey(String),
    /// The deploy key cannot be read, was refused, or may not write.
    #[error("{0}")]
    Auth(String),
    /// The server took the push and refused it: branch protection, or a hook.
    #[error("the push was rejected: {message}")]
    Rejected {
        /// The server's own words.
        message: String,
    },
    /// Others pushed first, again and again, until the tries were used up.
    #[error("others pushed to `{branch}` first, {tries} times in a row")]
    Raced {
        /// The branch.
        branch: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The server cannot be reached, or did not answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The repository, the branch or the commit does not exist, or the key may not see it.
    #[error("{0}")]
    NotFound(String),
    /// Anything else: a wrong setting, a full disk, a failed rendering.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl GitError {
    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Raced { .. } | Self::Unreachable(_))
    }
}

/// Why one attempt failed: something to report, or a damaged clone, which is thrown away for a new one.
#[derive(Debug)]
pub(super) enum Fault {
    Report(GitError),
    Damaged(git2::Error),
}

impl From<GitError> for Fault {
    fn from(error: GitError) -> Self {
        Self::Report(error)
    }
}

/// Work on the local clone that fails says that the clone is damaged; failures of the network are turned into a
/// [`GitError`] where they happen.
impl From<git2::Error> for Fault {
    fn from(error: git2::Error) -> Self {
        Self::Damaged(error)
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Report(GitError::Other(error))
    }
}
