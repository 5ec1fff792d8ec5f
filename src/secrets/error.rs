//! Why a secret could not be read, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a secret could not be read, or kept. Names the place and the way out, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error(
        "env:{0}: the environment variable is not set: set it, or point the setting somewhere else"
    )]
    NoVariable(String),
    /// The value has nothing in it.
    #[error("{0}: the value is empty: put the secret there")]
    Empty(String),
    /// The file could not be read.
    #[error("file:{}: cannot be read ({reason}): {}", path.display(), mend_file(reason))]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The file holds something else than a secret.
    #[error("file:{}: {what}: point the setting at the file that holds the secret and nothing else", path.display())]
    NotASecret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// AWS knows no such parameter or secret in that region and account.
    #[error(
        "{reference}: does not exist in {place}: create it there, or correct the name or the region"
    )]
    Missing {
        /// The reference.
        reference: String,
        /// Region it was looked for in.
        place: String,
    },
    /// The secret is JSON, without that key.
    #[error("{reference}: the secret has no key `{key}`: it has {}", list(keys))]
    MissingKey {
        /// The reference.
        reference: String,
        /// The key that was asked for.
        key: String,
        /// The names of those it has, sorted.
        keys: Vec<String>,
    },
    /// A key was asked for, and the secret is not a JSON object; or what it names is not a text or a number.
    #[error("{reference}: {what}")]
    NotPickable {
        /// The reference.
        reference: String,
        /// What is wrong and how to mend it.
        what: &'static str,
    },
    /// AWS does not let this program read it.
    #[error(
        "{reference}: access denied ({message}): allow this role `{action}` on it, and `kms:Decrypt` on its key if it has one of its own"
    )]
    AccessDenied {
        /// The reference.
        reference: String,
        /// The permission that is missing.
        action: &'static str,
        /// AWS' words.
        message: String,
    },
    /// Something is kept there already.
    #[error(
        "{0}: something is kept there already, and it is left as it is: `--replace` puts the new secret in its place"
    )]
    IsThere(String),
    /// Nothing can be put into such a reference.
    #[error(
        "{0} is no place that a secret can be put into: name `ssm:/NAME`, `secretsmanager:NAME#KEY` or `file:PATH`"
    )]
    NoPlace(String),
    /// The file could not be written.
    #[error("file:{}: cannot be written ({reason}): name a place that the user who runs this may write to", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// There are no AWS credentials.
    #[error(
        "{reference}: no credentials for AWS were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    )]
    NoCredentials {
        /// The reference.
        reference: String,
    },
    /// AWS did not answer, or not with the secret.
    #[error("{reference}: AWS did not hand it out: {message}")]
    Aws {
        /// The reference.
        reference: String,
        /// What was said or went wrong.
        message: String,
    },
}

impl SecretError {
    /// Whether there is nothing at the place, which may be filled.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::MissingKey { .. } => true,
            Self::File { reason, .. } => reason.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

fn mend_file(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::NotFound => "put the secret there, or correct the path",
        io::ErrorKind::PermissionDenied => "let the user that runs the bot read it (chmod 600)",
        _ => "point the setting at a file that can be read",
    }
}

fn list(keys: &[String]) -> String {
    if keys.is_empty() {
        return "none".to_owned();
    }
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}
