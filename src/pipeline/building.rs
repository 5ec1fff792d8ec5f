//! Resolving and building what a plan asks for.

use super::Workbench;
use super::build_task::{BuildRules, BuildTask};
use super::source_builds::{BuiltFromSource, MissingWheel, from_source};
use crate::build::{BuildError, BuildOptions};
use crate::model::{BuildRecord, LayerName, LayerRequest, Lock, Target, Timestamp};
use crate::plan::{BuildFailure, BuildState, Wanted};
use crate::resolve::{ResolveError, ResolveRequest};
use crate::telemetry::{add, metric};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::{Instrument as _, error_span};

/// What takes longer than this to resolve is asked of an index.
const KNOWN_BY_THEN: Duration = Duration::from_millis(50);

/// Whether packages that have no wheel may be built from source, where the request's `allow_build` names them. That runs
/// the code of whoever wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceBuilds {
    /// They may: what asks for them was merged, or is the caller's own.
    Permitted,
    /// Not before the merge. What was built from the same source before is used.
    AfterMerge,
}

/// What resolving came to.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Everything is there.
    Lock(Lock),
    /// These packages have to be built from source first, and may not be.
    FromSource(Vec<String>),
}

/// Resolves and builds what was not built yet.
pub(super) async fn build_new(bench: &Workbench, task: &BuildTask) -> BuildState {
    match resolve(bench, task).await {
        Ok(Resolved::Lock(lock)) => build_locked(bench, task, lock).await,
        Ok(Resolved::FromSource(packages)) => BuildState::FromSource(packages),
        Err(failure) => BuildState::Failed(failure),
    }
}

/// Builds, and counts what came of it; its log says of what.
pub(super) async fn counted(
    task: &BuildTask,
    build: impl Future<Output = BuildState>,
) -> BuildState {
    let (layer, target) = (&task.layer, task.target);
    let state = build
        .instrument(error_span!("build", %layer, %target))
        .await;
    let result = match &state {
        BuildState::Built(_) | BuildState::Unknown => "built",
        BuildState::FromSource(_) => "from_source",
        BuildState::Failed(_) => "failed",
    };
    add(&metric::BUILDS, &[&target.to_string(), result], 1);
    state
}

/// Finds the versions and wheels of one layer for one target; wheels of packages that `allow_build` names are built where
/// there are none. The resolver bounds how many are at it at once.
pub(super) async fn resolve(bench: &Workbench, task: &BuildTask) -> Result<Resolved, BuildFailure> {
    let request = &task.request;
    let others: Vec<Target> = request
        .targets
        .iter()
        .copied()
        .filter(|target| *target != task.target)
        .collect();
    let mut packages = request.packages.clone();
    let mut built: Vec<BuiltFromSource> = Vec::new();
    let mut unbuilt: Vec<String> = Vec::new();
    // Every time around, one more of the names that may be built is done with.
    loop {
        let wheels: Vec<_> = built.iter().map(BuiltFromSource::wheel).collect();
        let resolve = ResolveRequest {
            packages: &packages,
            other_targets: &others,
            built: &wheels,
            allow_build: &request.allow_build,
            ..asking(bench, task.target, &task.rules)
        };
        let error = match resolved(bench, &resolve).await {
            Ok(lock) if unbuilt.is_empty() => return Ok(Resolved::Lock(lock)),
            Ok(_) => return Ok(Resolved::FromSource(unbuilt)),
            Err(error) => error,
        };
        let Some(missing) = MissingWheel::of(&error)
            .filter(|missing| request.allow_build.contains(&missing.package))
            .filter(|missing| !unbuilt.contains(&missing.package))
        else {
            return Err(not_resolved(&error));
        };
        if let Some(wheel) = built.iter().find(|wheel| wheel.is_of(&missing.package)) {
            return Err(wheel.of_no_use(&missing));
        }
        match from_source(bench, &resolve, &missing, task.sources).await? {
            Some(wheel) => built.push(wheel),
            None => {
                // What can be known of the others without it is better known before the merge.
                let before = packages.len();
                packages.retain(|asked| asked.name != missing.package);
                unbuilt.push(missing.package);
                if packages.is_empty() || packages.len() == before {
                    return Ok(Resolved::FromSource(unbuilt));
                }
            }
        }
    }
}

/// Resolves. While an index is asked, what fetching the wheels needs is set up; a fresh lock is there sooner than that.
async fn resolved(bench: &Workbench, request: &ResolveRequest<'_>) -> Result<Lock, ResolveError> {
    let mut lock = Box::pin(bench.resolver.resolve(request));
    match tokio::time::timeout(KNOWN_BY_THEN, &mut lock).await {
        Ok(lock) => lock,
        Err(_) => tokio::join!(lock, bench.builder.make_ready_to_fetch()).0,
    }
}

/// How the rules have everything resolved; no packages.
pub(super) fn asking<'a>(
    bench: &Workbench,
    target: Target,
    rules: &'a BuildRules,
) -> ResolveRequest<'a> {
    ResolveRequest {
        packages: &[],
        target,
        other_targets: &[],
        index_url: rules.index_url.as_deref(),
        now: bench.now(),
        cooldown_days: rules.cooldown_days,
        built: &[],
        allow_build: &[],
        time_limit: rules.time_limit(),
    }
}

/// Why there is no lock.
pub(super) fn not_resolved(error: &ResolveError) -> BuildFailure {
    BuildFailure {
        message: error.for_people(),
        package: error.package().map(str::to_owned),
        transient: error.is_transient(),
    }
}

/// Builds one layer for one target from its lock.
pub(super) async fn build_locked(bench: &Workbench, task: &BuildTask, lock: Lock) -> BuildState {
    match within_limit(bench, &task.rules, build_one(bench, task, lock)).await {
        Ok(record) => BuildState::Built(Box::new(record)),
        Err(failure) => BuildState::Failed(failure),
    }
}

/// Builds as one of a few at once, and for no longer than the rules allow.
pub(super) async fn within_limit<T>(
    bench: &Workbench,
    rules: &BuildRules,
    build: impl Future<Output = Result<T, BuildFailure>>,
) -> Result<T, BuildFailure> {
    let _one_of_a_few = bench.building.acquire().await;
    let limit = rules.time_limit();
    let built = tokio::time::timeout(limit, build).await;
    built.unwrap_or_else(|_| {
        Err(BuildFailure {
            message: format!(
                "building took longer than the {} seconds that the policy allows",
                limit.as_secs()
            ),
            package: None,
            transient: true,
        })
    })
}

async fn build_one(
    bench: &Workbench,
    task: &BuildTask,
    lock: Lock,
) -> Result<BuildRecord, BuildFailure> {
    let request = &task.request;
    let now = bench.now();
    let packages = names(request);
    let options = BuildOptions {
        is_staged: task.is_staged,
        ..options(request, &packages, task.target, now)
    };
    let artifact = bench
        .builder
        .recall_or_build(&lock, &options, &|_| {})
        .await
        .map_err(|error| not_built(&error))?;
    let main = request
        .packages
        .first()
        .and_then(|package| lock.version_of(&package.name));
    let Some(version) = main.map(str::to_owned) else {
        return Err(BuildFailure {
            message: "the first package does not apply to this target: its environment marker leaves it out".to_owned(),
            package: request.packages.first().map(|package| package.name.clone()),
            transient: false,
        });
    };
    Ok(BuildRecord {
        layer: task.layer.clone(),
        target: task.target,
        fingerprint: task.fingerprint,
        version,
        lock,
        artifact,
        built_at: now,
    })
}

/// Why there is no zip.
pub(super) fn not_built(error: &BuildError) -> BuildFailure {
    BuildFailure {
        message: error.for_people(),
        package: error.package(),
        transient: error.is_transient(),
    }
}

/// The names of the packages that a request asks for.
pub(super) fn names(request: &LayerRequest) -> Vec<String> {
    let names = request.packages.iter();
    names.map(|package| package.name.clone()).collect()
}

/// How a request wants its layer built for a target; `packages` are its [`names`].
pub(super) fn options<'a>(
    request: &'a LayerRequest,
    packages: &'a [String],
    target: Target,
    today: Timestamp,
) -> BuildOptions<'a> {
    BuildOptions {
        target,
        packages,
        exclude: &request.exclude,
        slim: &request.slim,
        exclude_runtime: request.exclude_runtime,
        bytecode: request.bytecode,
        is_staged: false,
        today,
    }
}

/// Notes what came of building everything that is wanted; `states` are in its order.
pub(super) fn settle_all(
    wanted: &mut [Wanted],
    layers: &BTreeMap<LayerName, LayerRequest>,
    states: Vec<BuildState>,
) {
    for (wanted, state) in wanted.iter_mut().zip(states) {
        match layers.get(&wanted.layer) {
            Some(request) => settle(wanted, request, state),
            None => wanted.build = state,
        }
    }
}

/// Notes what came of building: what is wrong with it is shown at the line of the package to blame.
pub fn settle(wanted: &mut Wanted, request: &LayerRequest, state: BuildState) {
    if let Some(package) = state.blamed() {
        wanted.location = request.location_of(package);
    }
    wanted.build = state;
}
