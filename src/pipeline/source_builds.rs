//! Packages without a wheel, built from source where that is permitted: found, fetched, built in isolation, kept.
//!
//! Whoever wrote a package decides what its build runs and says. It runs isolated, with wheels of the index for what it
//! needs; what it says is shown as data.

use super::Workshop;
use super::building::{SourceBuilds, asking, not_built, not_resolved};
use crate::build::{
    BuildSystem, KeptWheel, SourceBuildError, SourceBuildTools, SourceDistribution as Unpacked,
    build_system, build_wheel,
};
use crate::model::{Lock, Policy, Requirement, Target, WheelFile};
use crate::plan::BuildFailure;
use crate::resolve::{
    BuiltWheel, ResolveError, ResolveRequest, SourceDistribution, SupportedTags, WheelFilename,
    requirement,
};
use std::path::PathBuf;

/// Times that a build may ask for more packages: its backend asks once, and what it gets then may ask again.
const ROUNDS: usize = 3;

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
    workshop: &Workshop,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    sources: SourceBuilds,
) -> Result<Option<BuiltFromSource>, BuildFailure> {
    let source = locate(workshop, asked, missing).await?;
    let builder = &workshop.builder;
    let tools = tools(workshop, asked.target, missing).await?;
    let not_built = |error| missing.blame(not_built(&error));
    let kept = match builder.built_before(&tools, &source.sha256).await {
        Ok(Some(kept)) => kept,
        Ok(None) if sources == SourceBuilds::AfterMerge => return Ok(None),
        Ok(None) => build(workshop, asked, missing, &tools, &source).await?,
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
    workshop: &Workshop,
    lock: &Lock,
    target: Target,
    policy: &Policy,
) -> Result<(), BuildFailure> {
    for package in &lock.packages {
        let wheel = &package.wheel;
        let Some(url) = wheel.built_from() else {
            continue;
        };
        let keeps = workshop.builder.keeps(wheel).await;
        if keeps.map_err(|error| not_built(&error))? {
            continue;
        }
        let missing = MissingWheel {
            package: package.name.clone(),
            release: format!("{}=={}", package.name, package.version),
            blamed: Some(package.name.clone()),
        };
        let asked = asking(workshop, target, policy);
        let source = locate(workshop, &asked, &missing).await?;
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
        let tools = tools(workshop, target, &missing).await?;
        let kept = build(workshop, &asked, &missing, &tools, &source).await?;
        if kept.sha256 != wheel.sha256 {
            return lost("building it again gives another file");
        }
    }
    Ok(())
}

/// The source distribution of what is missing.
async fn locate(
    workshop: &Workshop,
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
    let located = workshop.resolver.locate_source(&request, package).await;
    located.map_err(|error| missing.blame(not_resolved(&error)))
}

async fn tools(
    workshop: &Workshop,
    target: Target,
    missing: &MissingWheel,
) -> Result<SourceBuildTools, BuildFailure> {
    let tools = workshop.builder.source_build_tools(target.python).await;
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

/// Builds a source distribution, unless somebody else just did, and keeps the wheel.
async fn build(
    workshop: &Workshop,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    source: &SourceDistribution,
) -> Result<KeptWheel, BuildFailure> {
    let builder = &workshop.builder;
    let _turn = builder.turn_to_build(&source.sha256).await;
    let known = builder.built_before(tools, &source.sha256).await;
    let not_built = |error| missing.blame(not_built(&error));
    if let Some(kept) = known.map_err(not_built)? {
        return Ok(kept);
    }
    let built = build_anew(workshop, asked, missing, tools, source);
    tokio::time::timeout(asked.time_limit, built)
        .await
        .unwrap_or_else(|_| {
            let message = format!(
                "building `{}` from its source took longer than the {} seconds that the policy allows",
                missing.package,
                asked.time_limit.as_secs()
            );
            Err(missing.failure(message, false))
        })
}

async fn build_anew(
    workshop: &Workshop,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    source: &SourceDistribution,
) -> Result<KeptWheel, BuildFailure> {
    let builder = &workshop.builder;
    let not_built = |error| missing.blame(not_built(&error));
    let folder = builder.source_build_folder().map_err(not_built)?;
    let file = WheelFile {
        filename: source.filename.clone(),
        url: source.url.clone(),
        sha256: source.sha256,
        size: source.size,
    };
    let fetched = builder.fetch_source(&file, folder.path()).await;
    let path = fetched.map_err(not_built)?;
    let unpacked = Unpacked {
        package: &source.name,
        version: &source.version,
        path: &path,
    };
    let failed = |error| failed(missing, error);
    let uv = workshop.resolver.uv();
    let uv = uv.map_err(|error| missing.blame(not_resolved(&error)))?;
    let (sandbox, interpreter) = (&tools.sandbox, &tools.interpreter);
    let mut system = build_system(sandbox, interpreter, unpacked)
        .await
        .map_err(failed)?;
    tracing::info!(
        package = source.name,
        "building {} {} from source",
        source.name,
        source.version
    );
    for round in 0..ROUNDS {
        let place = |name: &str| {
            let place = folder.path().join(format!("{name}-{round}"));
            std::fs::create_dir(&place).map_err(|error| failed(error.into()))?;
            Ok(place)
        };
        let (wheels, output) = (place("wheels")?, place("output")?);
        let lock = build_requirements(workshop, asked, missing, tools, &system).await?;
        let handed = builder.wheels_into(&lock, &wheels).await;
        handed.map_err(not_built)?;
        let built = build_wheel(
            sandbox,
            interpreter,
            &uv,
            unpacked,
            &system,
            &wheels,
            &output,
        );
        match built.await {
            Ok(wheel) => {
                let kept = builder.keep_built(tools, &source.sha256, wheel).await;
                return kept.map_err(not_built);
            }
            Err(SourceBuildError::Needs { requirements, .. }) if round + 1 < ROUNDS => {
                system.requires.extend(requirements);
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(missing.failure(
        format!("`{}` asks for more whenever it is built", missing.package),
        false,
    ))
}

/// Wheels for what a build asks for, on this machine.
async fn build_requirements(
    workshop: &Workshop,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    system: &BuildSystem,
) -> Result<Lock, BuildFailure> {
    if system.requires.is_empty() {
        return Ok(Lock {
            packages: Vec::new(),
        });
    }
    let requires = system.requires.iter();
    let lock = async {
        let packages: Vec<Requirement> = requires
            .map(|text| requirement(text))
            .collect::<Result<_, _>>()?;
        let request = ResolveRequest {
            packages: &packages,
            target: Target {
                python: tools.interpreter.python,
                architecture: tools.architecture,
            },
            other_targets: &[],
            built: &[],
            allow_build: &[],
            ..*asked
        };
        workshop.resolver.resolve(&request).await
    };
    lock.await.map_err(|error| {
        // Its advice is for packages of a request.
        let why = match &error {
            ResolveError::NoWheel { .. } => format!("{error}."),
            error => error.for_people(),
        };
        let message = format!(
            "What `{}` is built with cannot be had: {why}",
            missing.package
        );
        missing.failure(message, error.is_transient())
    })
}

/// Why a build gave no wheel. What it printed comes last, on lines of its own.
fn failed(missing: &MissingWheel, error: SourceBuildError) -> BuildFailure {
    let package = &missing.package;
    match error {
        SourceBuildError::Failed { reason, words, .. } => {
            let mut message = format!("`{package}` could not be built from its source: {reason}.");
            if !words.is_empty() {
                message.push_str(" The last lines that its build printed:\n");
                message.push_str(&words);
            }
            missing.failure(message, false)
        }
        SourceBuildError::Needs { requirements, .. } => missing.failure(
            format!(
                "`{package}` could not be built from its source: it keeps asking for more packages, at last for `{}`.",
                requirements.join(", ")
            ),
            false,
        ),
        SourceBuildError::Io(error) => {
            tracing::warn!(package, "building from source: {error}");
            missing.failure(
                "Layersmith could not read or write its own files; whoever runs it finds more in its log.".to_owned(),
                true,
            )
        }
    }
}
