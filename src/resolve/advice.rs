//! What can be done where a package has no wheel for a target. Each way is tried before it is told.

use super::compile::{Compiled, Kind};
use super::error::{Alternatives, ResolveError};
use super::resolver::{ResolveRequest, Resolver};
use super::{pylock, requirements};
use crate::model::{Lock, Requirement, Target};
use futures::future::join_all;
use std::time::Duration;

/// The longest that looking for alternatives may take.
const SEARCH_TIME: Duration = Duration::from_secs(30);
/// The most targets that are told.
const TARGETS: usize = 4;

impl Resolver {
    /// Adds to an error about a missing wheel what can be had instead; other errors stay as they are.
    pub(crate) async fn with_advice(
        &self,
        request: &ResolveRequest<'_>,
        lines: &[String],
        error: ResolveError,
    ) -> ResolveError {
        let ResolveError::NoWheel {
            package,
            release,
            target,
            ..
        } = error
        else {
            return error;
        };
        let asked = request
            .packages
            .iter()
            .zip(lines)
            .find(|(requirement, _)| requirement.name == package)
            .map(|(requirement, line)| (requirement, line.as_str()));
        let alternatives = self.alternatives(request, asked, &package).await;
        // Of a dependency that uv took nobody can say which requirement brought it.
        ResolveError::NoWheel {
            package,
            release,
            blamed: None,
            target,
            alternatives: Box::new(alternatives),
        }
    }

    /// What can be had where `package` has no wheel for the request's target and may not be built from source;
    /// `asked` is the requirement that needs it.
    pub(crate) async fn alternatives(
        &self,
        request: &ResolveRequest<'_>,
        asked: Option<(&Requirement, &str)>,
        package: &str,
    ) -> Alternatives {
        if request.allow_build.iter().any(|name| name == package) {
            return Alternatives::default();
        }
        let search = async {
            let version = async {
                let (asked, line) = asked?;
                let line = requirements::any_version(line)?;
                let lock = self.attempt(request, &line, request.target).await?;
                lock.version_of(&asked.name).map(str::to_owned)
            };
            let targets = async {
                match asked {
                    Some((asked, line)) => self.other_targets(request, asked, line).await,
                    None => Vec::new(),
                }
            };
            let source = self.locate_source(request, package);
            let (version, targets, source) = futures::join!(version, targets, source);
            Alternatives {
                version,
                targets,
                source: source.is_ok(),
            }
        };
        tokio::time::timeout(SEARCH_TIME, search)
            .await
            .unwrap_or_default()
    }

    /// Targets that a requirement can be resolved for: those of the request, if there are any, else all others.
    async fn other_targets(
        &self,
        request: &ResolveRequest<'_>,
        asked: &Requirement,
        line: &str,
    ) -> Vec<Target> {
        let others = Target::all().filter(|target| *target != request.target);
        let tried = others.map(|target| async move {
            let lock = self.attempt(request, line, target).await?;
            lock.version_of(&asked.name).map(|_| target)
        });
        let found: Vec<Target> = join_all(tried).await.into_iter().flatten().collect();
        let of_request: Vec<Target> = found
            .iter()
            .copied()
            .filter(|target| request.other_targets.contains(target))
            .collect();
        let mut told = if of_request.is_empty() {
            found
        } else {
            of_request
        };
        told.truncate(TARGETS);
        told
    }

    async fn attempt(
        &self,
        request: &ResolveRequest<'_>,
        line: &str,
        target: Target,
    ) -> Option<Lock> {
        let compilation = request.compilation(line, Kind::Wheels, target);
        match self.compile(&compilation).await {
            Ok(Compiled::Lock { text, .. }) => pylock::read(&text, target, request.built).ok(),
            Ok(Compiled::NoSolution(_)) | Err(_) => None,
        }
    }
}
