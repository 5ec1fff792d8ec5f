//! Why a resolution failed, in the kinds that callers act on.

use crate::model::Target;
use std::time::Duration;

/// A resolution that gave no lock. Texts hold no paths of the machine and no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no `uv` to run.
    #[error(
        "uv was not found: install it with `pip install uv` or `pipx install uv`, or set LAYERSMITH_UV to its path"
    )]
    UvMissing,
    /// It took longer than allowed and was stopped.
    #[error("resolving was stopped after {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The requirements cannot be met: they conflict, or a package or a wheel of it does not exist.
    #[error("the packages cannot be resolved: {explanation}")]
    NoSolution {
        /// The first package of the request that the explanation is about (normalised name).
        package: Option<String>,
        /// uv's own words.
        explanation: String,
    },
    /// The package index could not be reached, or broke off; worth another try.
    #[error("the package index could not be reached: {message}")]
    Unreachable {
        /// What went wrong on the way.
        message: String,
    },
    /// None of the wheels found runs on the target.
    #[error("{package} {version} has no wheel for {target}")]
    NoWheel {
        /// Normalised name.
        package: String,
        /// Version.
        version: String,
        /// What a wheel was looked for.
        target: Target,
    },
    /// What the index offers for a package cannot be used safely, or the request asks for something that cannot.
    #[error("{package}: {reason}")]
    Unusable {
        /// Normalised name.
        package: String,
        /// What is wrong, as a sentence without its subject.
        reason: String,
    },
    /// Something that is nobody's mistake in a request: uv failed in another way, or its answer made no sense.
    #[error("resolving failed: {0}")]
    Unexpected(String),
}

impl ResolveError {
    /// Whether the same request may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::UvMissing | Self::TimedOut(_) | Self::Unreachable { .. }
        )
    }

    /// The one package that is to blame (normalised name), where one is.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::NoSolution { package, .. } => package.as_deref(),
            Self::NoWheel { package, .. } | Self::Unusable { package, .. } => Some(package),
            Self::UvMissing
            | Self::TimedOut(_)
            | Self::Unreachable { .. }
            | Self::Unexpected(_) => None,
        }
    }

    /// What the author of a pull request reads: what happened and what can be done about it.
    #[must_use]
    pub fn for_people(&self) -> String {
        match self {
            Self::UvMissing => {
                "uv, which resolves packages, is missing where Layersmith runs. Whoever runs it can install it with \
                 `pip install uv` or `pipx install uv`, or set `LAYERSMITH_UV` to its path."
                    .to_owned()
            }
            Self::TimedOut(limit) => format!(
                "Resolving took longer than {} seconds and was stopped. Pinning versions more tightly makes it quicker.",
                limit.as_secs_f32()
            ),
            Self::NoSolution { explanation, .. } => explanation.clone(),
            Self::Unreachable { message } => {
                format!("The package index could not be reached; trying again later may help. ({message})")
            }
            Self::NoWheel {
                package,
                version,
                target,
            } => format!(
                "`{package}` {version} has no wheel for Python {} on {}. Ask for a version that has one, or leave this \
                 target out.",
                target.python, target.architecture
            ),
            Self::Unusable { package, reason } => format!("`{package}`: {reason}."),
            Self::Unexpected(message) => format!("Resolving failed: {message}"),
        }
    }
}
