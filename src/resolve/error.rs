//! Why a resolution failed, in the kinds that callers act on.

use crate::model::Target;
use std::time::Duration;

/// What can be had where a package has no wheel for a target; each was tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alternatives {
    /// A version of the package asked for that can be resolved for the target.
    pub version: Option<String>,
    /// Targets that the requirement can be resolved for as it stands.
    pub targets: Vec<Target>,
    /// Whether there is a source distribution of the package, which `allow_build` would have built.
    pub source: bool,
}

impl Alternatives {
    /// What can be done, as a sentence.
    fn for_people(&self, package: &str, blamed: Option<&str>) -> String {
        let mut ways = Vec::new();
        if let Some(version) = &self.version {
            let asked = blamed.unwrap_or(package);
            ways.push(format!(
                "ask for another version, such as `{asked}=={version}`"
            ));
        }
        if !self.targets.is_empty() {
            let targets: Vec<String> = self.targets.iter().copied().map(in_words).collect();
            ways.push(format!(
                "leave this target out: there is one for {}",
                targets.join(", ")
            ));
        }
        if self.source {
            ways.push(format!(
                "name `{package}` under `allow_build`, and it is built from its source after the merge"
            ));
        }
        if ways.is_empty() {
            return "No other version, Python or architecture was found that has one.".to_owned();
        }
        format!("What can be done: {}.", ways.join("; or "))
    }
}

/// A target as people say it.
fn in_words(target: Target) -> String {
    format!("Python {} on {}", target.python, target.architecture)
}

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
        /// The package of the request to show it at (normalised name).
        package: Option<String>,
        /// The fewest requirements that cannot be met together, in the order they were asked for.
        requirements: Vec<String>,
        /// Why, for people.
        explanation: String,
    },
    /// The package index could not be reached, or broke off; worth another try.
    #[error("the package index could not be reached: {message}")]
    Unreachable {
        /// What went wrong on the way.
        message: String,
    },
    /// There is no wheel that runs on the target.
    #[error("{release} has no wheel for {target}")]
    NoWheel {
        /// Normalised name.
        package: String,
        /// What was looked for: `six`, `six==1.0`, `six<2`.
        release: String,
        /// The package of the request that needs it, when that is another one (normalised name).
        blamed: Option<String>,
        /// What a wheel was looked for.
        target: Target,
        /// What can be had instead.
        alternatives: Box<Alternatives>,
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
            Self::NoWheel {
                package, blamed, ..
            } => Some(blamed.as_ref().unwrap_or(package)),
            Self::Unusable { package, .. } => Some(package),
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
                release,
                blamed,
                alternatives,
                ..
            } => {
                let needed = blamed
                    .as_ref()
                    .map(|blamed| format!(", which `{blamed}` needs,"))
                    .unwrap_or_default();
                // Without the target, so that one sentence does for all that it is true of.
                format!(
                    "`{release}`{needed} has no wheel for this target. {}",
                    alternatives.for_people(package, blamed.as_deref())
                )
            }
            Self::Unusable { package, reason } => format!("`{package}`: {reason}."),
            Self::Unexpected(message) => format!("Resolving failed: {message}"),
        }
    }
}
