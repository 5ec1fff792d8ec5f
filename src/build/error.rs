//! Why a build failed, in the kinds that callers act on.

use super::artifact_store::ArtifactError;
use crate::model::normalize_package_name;
use std::io;

/// A build that gave no artifact. Texts hold no credentials.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A wheel could not be fetched.
    #[error("{wheel} could not be fetched: {message}")]
    Fetch {
        /// Its file name.
        wheel: String,
        /// What went wrong on the way.
        message: String,
        /// Whether another try later may succeed.
        transient: bool,
    },
    /// A wheel's bytes are not those that were locked.
    #[error("{wheel} has SHA-256 {actual}, and {expected} was locked")]
    HashMismatch {
        /// Its file name.
        wheel: String,
        /// What was locked.
        expected: crate::model::Digest,
        /// What was fetched.
        actual: crate::model::Digest,
    },
    /// A wheel is malformed, or holds what must not be unpacked.
    #[error("{wheel} cannot be used: {reason}")]
    BadWheel {
        /// Its file name.
        wheel: String,
        /// What is wrong, as a sentence without its subject.
        reason: String,
    },
    /// A wheel that was built from source is not kept any more, and no index has it.
    #[error("{wheel} was built from source, and is not kept any more")]
    Lost {
        /// Its file name.
        wheel: String,
    },
    /// Two wheels put different things at one place.
    #[error("{first} and {second} both hold `{path}`, {difference}")]
    Conflict {
        /// Where, relative to the layer's `python/`.
        path: String,
        /// One wheel's file name.
        first: String,
        /// The other's.
        second: String,
        /// How the two differ.
        difference: &'static str,
    },
    /// The layer passes what any layer may be; building it was stopped.
    #[error("the packages are {size} bytes unpacked, and building stops at {limit}")]
    TooLarge {
        /// Bytes unpacked, as far as they were counted.
        size: u64,
        /// Where building stops.
        limit: u64,
    },
    /// The layer has more files than a zip without extensions can list.
    #[error("the packages have {files} files, and a layer zip holds {limit}")]
    TooManyFiles {
        /// How many there are.
        files: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A pattern of files to leave out cannot be read.
    #[error("`{pattern}` is not a pattern of file names: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was built could not be kept where it belongs.
    #[error("{0}")]
    NotKept(#[from] ArtifactError),
    /// The machine could not read or write its own files.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's words.
        source: io::Error,
    },
}

impl BuildError {
    /// Whether the same build may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fetch { transient, .. } => *transient,
            Self::NotKept(error) => error.is_transient() || error.is_lost(),
            Self::Io { .. } => true,
            Self::HashMismatch { .. }
            | Self::BadWheel { .. }
            | Self::Lost { .. }
            | Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::TooManyFiles { .. }
            | Self::BadPattern { .. } => false,
        }
    }

    /// The package that is to blame (normalised name), where one is.
    #[must_use]
    pub fn package(&self) -> Option<String> {
        match self {
            Self::Fetch { wheel, .. }
            | Self::HashMismatch { wheel, .. }
            | Self::BadWheel { wheel, .. }
            | Self::Lost { wheel }
            | Self::Conflict { second: wheel, .. } => Some(package_of(wheel)),
            Self::TooLarge { .. }
            | Self::TooManyFiles { .. }
            | Self::BadPattern { .. }
            | Self::NotKept(_)
            | Self::Io { .. } => None,
        }
    }

    /// What the author of a pull request reads: what happened and what can be done about it.
    #[must_use]
    pub fn for_people(&self) -> String {
        match self {
            Self::Fetch {
                wheel,
                message,
                transient,
            } => {
                let advice = if *transient {
                    " Trying again later may help."
                } else {
                    ""
                };
                format!("`{wheel}` could not be fetched: {message}.{advice}")
            }
            Self::HashMismatch { wheel, .. } => format!(
                "`{wheel}` is not the file that the package index promised: its SHA-256 differs. Nothing was built from it."
            ),
            Self::BadWheel { wheel, reason } => format!("`{wheel}` cannot be used: {reason}."),
            Self::Lost { wheel } => format!(
                "`{wheel}` was built from its source, and is not kept any more."
            ),
            Self::Conflict {
                path,
                first,
                second,
                difference,
            } => format!(
                "`{first}` and `{second}` both hold `{path}`, {difference}. They cannot go into one layer, unless the \
                 file is left out by `exclude`."
            ),
            Self::TooLarge { size, limit } => format!(
                "The packages are {} MiB unpacked; building stops at {} MiB, and AWS Lambda takes 250 MiB.",
                size / (1024 * 1024),
                limit / (1024 * 1024)
            ),
            Self::TooManyFiles { files, limit } => {
                format!("The packages have {files} files, and a layer zip holds at most {limit}.")
            }
            Self::BadPattern { pattern, reason } => {
                format!("`{pattern}` in `exclude` is not a pattern of file names: {reason}")
            }
            Self::NotKept(error) => format!("The layer was built and could not be kept: {error}."),
            Self::Io { .. } => {
                "Layersmith could not read or write its own files; whoever runs it finds more in its log.".to_owned()
            }
        }
    }

    /// The same as `source`, with what was being done.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(crate) fn bad_wheel(wheel: &str, reason: impl Into<String>) -> Self {
        Self::BadWheel {
            wheel: wheel.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A wheel's file name starts with its package's name, in which there is no dash (PEP 427).
fn package_of(wheel: &str) -> String {
    normalize_package_name(wheel.split('-').next().unwrap_or_default())
}
