//! Why a step failed, as far as an engine has to know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A step that did not reach its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct StepFailure {
    /// What happened, fit to be shown on a pull request: no secrets, no paths of the machine.
    pub message: String,
    /// Whether the same step may succeed later.
    pub transient: bool,
    /// Whether the zip that the step is about is gone: it succeeds once that is built again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub artifact_lost: bool,
}

impl StepFailure {
    /// A failure of either kind.
    #[must_use]
    pub fn new(message: impl Into<String>, transient: bool) -> Self {
        Self {
            message: message.into(),
            transient,
            artifact_lost: false,
        }
    }

    /// A failure that building a zip again gets past.
    #[must_use]
    pub fn of_lost_artifact(message: impl Into<String>) -> Self {
        Self {
            artifact_lost: true,
            ..Self::new(message, false)
        }
    }

    /// A failure that another try may get past.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(message, true)
    }

    /// The failure that the journal has as the output of a step. Its message alone is what earlier revisions wrote.
    #[must_use]
    pub fn read(output: &Value) -> Self {
        serde_json::from_value(output.clone())
            .unwrap_or_else(|_| Self::transient(output.as_str().unwrap_or_default()))
    }

    /// A failure that another try would only repeat.
    #[must_use]
    pub fn lasting(message: impl Into<String>) -> Self {
        Self::new(message, false)
    }
}

/// The store and other local parts report with `anyhow`: what they meet (a locked file, a full disk) may pass.
impl From<anyhow::Error> for StepFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::transient(format!("{error:#}"))
    }
}

impl From<crate::github::GithubError> for StepFailure {
    fn from(error: crate::github::GithubError) -> Self {
        Self::new(error.to_string(), error.is_transient())
    }
}

impl From<crate::gitrepo::GitError> for StepFailure {
    fn from(error: crate::gitrepo::GitError) -> Self {
        Self::new(error.to_string(), error.is_transient())
    }
}

impl From<crate::registry::RegistryError> for StepFailure {
    fn from(error: crate::registry::RegistryError) -> Self {
        Self::new(error.to_string(), error.is_transient())
    }
}
