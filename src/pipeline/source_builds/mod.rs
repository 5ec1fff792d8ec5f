//! Packages without a wheel, built from source where that is permitted: found, fetched, built in isolation, kept.
//!
//! Whoever wrote a package decides what its build runs and says. It runs isolated, with wheels of the index for what it
//! needs; what it says is shown as data.

mod build;

use super::Workbench;
use super::build_task::BuildRules;
use super::building::{SourceBuilds, asking, not_built, not_resolved};
use crate::build::{KeptWheel, SourceBuildTools};
use crate::model::{Lock, Target};
use crate::plan::BuildFailure;
use crate::resolve::{
    BuiltWheel, ResolveError, ResolveRequest, SourceDistribution, SupportedTags, WheelFilename,
    requirement,
};
use build::build;
use std::path::PathBuf;

/// A package that has no wheel for a target.
#[derive(Debug)]
pub(super) struct MissingWheel {
    /// Normalised name.
    pub(super) package: String,
    /// What was looked for: `six==1.0`.
    release: String,
    /// The package of the request to show it at (normalised name).
    blamed: Option<String>,
}

impl MissingWheel {
    /// What an error says is missing, where it is a wheel.
    pub(super) fn of(error: &ResolveError) -> Option<Self> {
        let ResolveError::NoWheel {
            package, release, ..
        } = error
        else {
            return None;
        };
        Some(Self {
            package: package.clone(),
            release: release.clone(),
            blamed: error.package().map(str::to_owned),
        })
    }

    fn failure(&self, message: String, transient: bool) -> BuildFailure {
        BuildFailure {
            message,
            package: self.blamed.clone(),
            transient,
        }
    }

    /// The same failure, shown at the package of the request.
    fn blame(&self, failure: BuildFailure) -> BuildFailure {
        self.failure(failure.message, failure.transient)
    }
}

/// A wheel that was built from source and is kept.
#[derive(Debug)]
pub(super) struct BuiltFromSource {
    kept: KeptWheel,
    path: PathBuf,
    source: SourceDistribution,
}

impl BuiltFromSource {
    /// As the resolver takes it.
    pub(super) fn wheel(&self) -> BuiltWheel<'_> {
        BuiltWheel {
            filename: &self.kept.filename,
            path: &self.path,
            sha256: self.kept.sha256,
            size: self.kept.size,
            source: &self.source,
        }
    }

    /// Whether it is of a package (normalised name).
    pub(super) fn is_of(&self, package: &str) -> bool {
        self.source.name == package
    }

    /// Why it does not help where its package is still missed.
    pub(super) fn of_no_use(&self, missing: &MissingWheel) -> BuildFailure {
        let KeptWheel { filename, .. } = &self.kept;
        let release = &missing.release;
        let message = format!(
            "`{release}` has no wheel for this target, and the one that was built from its source, `{filename}`, is not what is asked for."
        );
        missing.failure(message, false)
    }
}

/// A wheel for a package that has none, built from source or kept from before; `None` when it has to be built and may
/// not be. `asked` is the request that missed it.
///
/// # Errors
/// Why it cannot be built, for people.
pub(super) async fn from_source(
    bench: &Workbench,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    sources: SourceBuilds,
) -> Result<Option<BuiltFromSource>, BuildFailure> {
    let source = locate(bench, asked, missing).await?;
    let builder = &bench.builder;
    let tools = tools(bench, asked.target, missing).await?;
    let not_built = |error| missing.blame(not_built(&error));
    let kept = match builder.built_before(&tools, &source.sha256).await {
        Ok(Some(kept)) => kept,
        Ok(None) if sources == SourceBuilds::AfterMerge => return Ok(None),
        Ok(None) => build(bench, asked, missing, &tools, &source).await?,
        Err(error) => return Err(not_built(error)),
    };
    check(missing, &tools, &kept, asked.target)?;
    Ok(Some(BuiltFromSource {
        path: builder.path_of_wheel(&kept.sha256),
        kept,
        source,
    }))
}

/// Makes sure that the wheels of a lock that were built from source are kept: those that are not are built again.
///
/// # Errors
/// Why one cannot be had any more, for people.
pub(super) async fn restore(
    bench: &Workbench,
    lock: &Lock,
    target: Target,
    rules: &BuildRules,
) -> Result<(), BuildFailure> {
    for package in &lock.packages {
        let wheel = &package.wheel;
        let Some(url) = wheel.built_from() else {
            continue;
        };
        let keeps = bench.builder.keeps(wheel).await;
        if keeps.map_err(|error| not_built(&error))? {
            continue;
        }
        let missing = MissingWheel {
            package: package.name.clone(),
            release: format!("{}=={}", package.name, package.version),
            blamed: Some(package.name.clone()),
        };
        let asked = asking(bench, target, rules);
        let source = locate(bench, &asked, &missing).await?;
        let lost = |why: &str| {
            let message = format!(
                "`{}` was built from its source and is not kept any more, and {why}. Changing the request, such as \
                 another version, has everything resolved anew.",
                wheel.filename
            );
            Err(missing.failure(message, false))
        };
        if source.url != url {
            return lost("the package index has another source of it");
        }
        let tools = tools(bench, target, &missing).await?;
        let kept = build(bench, &asked, &missing, &tools, &source).await?;
        if kept.sha256 != wheel.sha256 {
            return lost("building it again gives another file");
        }
    }
    Ok(())
}

/// The source distribution of what is missing.
async fn locate(
    bench: &Workbench,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
) -> Result<SourceDistribution, BuildFailure> {
    let MissingWheel {
        package, release, ..
    } = missing;
    let mut packages = asked.packages.to_vec();
    if !packages.iter().any(|asked| asked.name == *package) {
        // A dependency of something: what that needs of it.
        packages.extend(requirement(release));
    }
    let request = ResolveRequest {
        packages: &packages,
        ..*asked
    };
    let located = bench.resolver.locate_source(&request, package).await;
    located.map_err(|error| missing.blame(not_resolved(&error)))
}

async fn tools(
    bench: &Workbench,
    target: Target,
    missing: &MissingWheel,
) -> Result<SourceBuildTools, BuildFailure> {
    let tools = bench.builder.source_build_tools(target.python).await;
    tools.map_err(|reason| {
        let message = format!(
            "`{}` has no wheel for this target, and it cannot be built from its source: {reason}.",
            missing.release
        );
        missing.failure(message, false)
    })
}

/// Refuses a wheel that is for another machine than the target's.
fn check(
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    kept: &KeptWheel,
    target: Target,
) -> Result<(), BuildFailure> {
    let filename: Result<WheelFilename, _> = kept.filename.parse();
    let suits = filename.is_ok_and(|name| SupportedTags::with_built(target).rank(&name).is_some());
    if suits {
        return Ok(());
    }
    let wheel = &kept.filename;
    let why = if target.architecture == tools.architecture {
        "which does not run on this target".to_owned()
    } else {
        format!(
            "which is for the processor it was built on: Layersmith runs on {}, and cannot compile for {}. Leave that architecture out",
            tools.architecture, target.architecture
        )
    };
    let message = format!(
        "`{}` has no wheel for this target. Its source was built to `{wheel}`, {why}.",
        missing.release
    );
    Err(missing.failure(message, false))
}
