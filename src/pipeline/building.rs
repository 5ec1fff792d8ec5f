//! Resolving and building what a plan asks for.

use super::Workshop;
use crate::build::BuildOptions;
use crate::model::{BuildRecord, LayerRequest, Lock, Policy, Target, Timestamp};
use crate::plan::{BuildFailure, BuildState, Wanted};
use crate::resolve::ResolveRequest;
use std::time::Duration;

/// Resolves and builds one layer for one target. What goes wrong is part of the answer, not an error: the other builds
/// go on, and the person who asked reads it.
pub async fn build_wanted(
    workshop: &Workshop,
    wanted: &Wanted,
    request: &LayerRequest,
    policy: &Policy,
) -> BuildState {
    match resolve_wanted(workshop, wanted, request, policy).await {
        Ok(lock) => build_locked(workshop, wanted, request, policy, lock).await,
        Err(failure) => BuildState::Failed(failure),
    }
}

/// Finds the versions and wheels of one layer for one target. The resolver bounds how many are at it at once.
pub(super) async fn resolve_wanted(
    workshop: &Workshop,
    wanted: &Wanted,
    request: &LayerRequest,
    policy: &Policy,
) -> Result<Lock, BuildFailure> {
    let others: Vec<Target> = request
        .targets
        .iter()
        .copied()
        .filter(|target| *target != wanted.target)
        .collect();
    let resolve = ResolveRequest {
        packages: &request.packages,
        target: wanted.target,
        other_targets: &others,
        index_url: policy.index_url.as_deref(),
        now: workshop.now(),
        cooldown_days: policy.cooldown_days,
        built: &[],
        time_limit: Duration::from_secs(policy.limits.build_seconds),
    };
    workshop
        .resolver
        .resolve(&resolve)
        .await
        .map_err(|error| BuildFailure {
            message: error.for_people(),
            package: error.package().map(str::to_owned),
            transient: error.is_transient(),
        })
}

/// Builds one layer for one target from its lock.
pub(super) async fn build_locked(
    workshop: &Workshop,
    wanted: &Wanted,
    request: &LayerRequest,
    policy: &Policy,
    lock: Lock,
) -> BuildState {
    let _one_of_a_few = workshop.building.acquire().await;
    let limit = Duration::from_secs(policy.limits.build_seconds);
    match tokio::time::timeout(limit, build_one(workshop, wanted, request, lock)).await {
        Ok(Ok(record)) => BuildState::Built(Box::new(record)),
        Ok(Err(failure)) => BuildState::Failed(failure),
        Err(_) => BuildState::Failed(BuildFailure {
            message: format!(
                "building took longer than the {} seconds that the policy allows",
                policy.limits.build_seconds
            ),
            package: None,
            transient: true,
        }),
    }
}

async fn build_one(
    workshop: &Workshop,
    wanted: &Wanted,
    request: &LayerRequest,
    lock: Lock,
) -> Result<BuildRecord, BuildFailure> {
    let now = workshop.now();
    let packages = names(request);
    let options = options(request, &packages, wanted.target, now);
    let artifact = workshop
        .builder
        .build(&lock, &options, &|_| {})
        .await
        .map_err(|error| BuildFailure {
            message: error.for_people(),
            package: error.package(),
            transient: error.is_transient(),
        })?;
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
        layer: wanted.layer.clone(),
        target: wanted.target,
        fingerprint: wanted.fingerprint,
        version,
        lock,
        artifact,
        built_at: now,
    })
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
        today,
    }
}

/// Notes what came of building: what is wrong with it is shown at the line of the package to blame.
pub fn settle(wanted: &mut Wanted, request: &LayerRequest, state: BuildState) {
    if let Some(package) = state.blamed() {
        wanted.location = request.location_of(package);
    }
    wanted.build = state;
}
