//! One build of one source distribution.

use super::super::Workbench;
use super::super::building::{not_built, not_resolved};
use super::MissingWheel;
use crate::build::{
    BuildSystem, KeptWheel, SourceBuildError, SourceBuildTools, SourceDistribution as Unpacked,
    build_system, build_wheel,
};
use crate::model::{Lock, Requirement, Target, WheelFile};
use crate::plan::BuildFailure;
use crate::resolve::{ResolveError, ResolveRequest, SourceDistribution, requirement};

/// Times that a build may ask for more packages: its backend asks once, and what it gets then may ask again.
const ROUNDS: usize = 3;

/// Builds a source distribution, unless somebody else just did, and keeps the wheel.
pub(super) async fn build(
    bench: &Workbench,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    source: &SourceDistribution,
) -> Result<KeptWheel, BuildFailure> {
    let builder = &bench.builder;
    let _turn = builder.turn_to_build(&source.sha256).await;
    let known = builder.built_before(tools, &source.sha256).await;
    let not_built = |error| missing.blame(not_built(&error));
    if let Some(kept) = known.map_err(not_built)? {
        return Ok(kept);
    }
    let built = build_anew(bench, asked, missing, tools, source);
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
    bench: &Workbench,
    asked: &ResolveRequest<'_>,
    missing: &MissingWheel,
    tools: &SourceBuildTools,
    source: &SourceDistribution,
) -> Result<KeptWheel, BuildFailure> {
    let builder = &bench.builder;
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
    let uv = bench.resolver.uv();
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
        let lock = build_requirements(bench, asked, missing, tools, &system).await?;
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
    bench: &Workbench,
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
        bench.resolver.resolve(&request).await
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
