//! Bringing one zip live in every region it is wanted in, exactly once.
//!
//! AWS makes a new version on every publish call, so each region goes: write the intent → look for a version with the
//! digest and adopt it, else publish → share → read back → live, with the previous one deprecated. Every step may be
//! repeated after a crash. One region that fails stops no other.

use super::aligning::{advance, tidy};
use super::building::{names, options};
use super::source_builds::restore;
use super::visibility::share_exactly;
use super::{Desired, StepFailure, Workshop};
use crate::build::BuildOptions;
use crate::model::{
    BuildRecord, LayerArn, LayerRequest, LayerState, Policy, Region, SlotKey, ZIPPED_LIMIT,
    layer_description,
};
use crate::plan::{Action, Entry, Outcome, Publication, RegionFailure};
use crate::registry::{PublishRequest, PublishedVersion, Registry, RegistryError};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// Regions worked on at once: all there are.
const CONCURRENT_REGIONS: usize = 40;
/// Before a region is tried once more, or what may be at work there is looked for; each later look doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What carrying out one entry of a plan came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// It was published, as far as the regions let it.
    Published(Outcome),
    /// That many versions are deprecated now.
    Retired(usize),
    /// There was nothing to do, or nothing that could be done.
    Nothing,
}

/// Carries out one entry of a plan.
///
/// # Errors
/// When the zip cannot be read or the store fails. A region that fails is part of the outcome.
pub async fn carry_out(
    workshop: &Workshop,
    entry: &Entry,
    desired: &Desired,
) -> Result<Carried, StepFailure> {
    let policy = &desired.policy;
    match &entry.action {
        Action::Publish(publication) => publish(workshop, publication, desired)
            .await
            .map(Carried::Published),
        Action::Retire { .. } => {
            let expires_at = workshop.now().plus_days(policy.expire_after_days);
            let retired = workshop
                .store
                .retire(&entry.layer, entry.target, None, expires_at)
                .await?;
            Ok(Carried::Retired(retired))
        }
        Action::Keep { .. } | Action::Build | Action::Blocked { .. } => Ok(Carried::Nothing),
    }
}

/// Publishes a zip to the regions it is missing in, and retires it where it is not wanted any more.
pub(super) async fn publish(
    workshop: &Workshop,
    publication: &Publication,
    desired: &Desired,
) -> Result<Outcome, StepFailure> {
    let build = &publication.build;
    let policy = &desired.policy;
    let layer = desired.layers.get(&build.layer);
    workshop.store.put_build(build).await?;
    let mut outcome = Outcome {
        layer: build.layer.clone(),
        target: build.target,
        version: build.version.clone(),
        digest: build.artifact.digest,
        published: Vec::new(),
        already: publication.already.clone(),
        failed: Vec::new(),
        not_enabled: Vec::new(),
    };
    let (zip, size) = match find_zip(workshop, build, layer, policy).await {
        Ok(found) => found,
        Err(failure) if failure.transient => return Err(failure),
        // Another try would not help, and the other layers do not wait for it.
        Err(failure) => {
            outcome.failed = publication
                .regions
                .iter()
                .map(|region| RegionFailure {
                    region: region.clone(),
                    message: failure.message.clone(),
                    transient: false,
                })
                .collect();
            return Ok(outcome);
        }
    };
    let request = PublishRequest {
        name: publication.published_name.clone(),
        description: layer_description(&build.layer, &build.version, &build.artifact.digest),
        license: layer
            .and_then(|layer| layer.license.clone())
            .or_else(|| build.artifact.license_info()),
        python: build.target.python,
        architecture: build.target.architecture,
        zip,
        size,
        digest: build.artifact.digest,
        staging: policy.staging.clone(),
    };
    let work: Vec<_> = publication
        .regions
        .iter()
        .map(|region| in_region(workshop, publication, &request, policy, region))
        .collect();
    let results: Vec<_> = stream::iter(work)
        .buffered(CONCURRENT_REGIONS)
        .collect()
        .await;
    for (region, result) in publication.regions.iter().zip(results) {
        match result {
            Ok(arn) => outcome.published.push(arn),
            Err(RegionTrouble::NotEnabled) => outcome.not_enabled.push(region.clone()),
            Err(RegionTrouble::Failed(failure)) => {
                tracing::warn!(layer = %build.layer, target = %build.target, %region, reason = %failure.message, "publishing {} {} in {region} failed", build.layer, build.target);
                outcome.failed.push(RegionFailure {
                    region: region.clone(),
                    message: failure.message,
                    transient: failure.transient,
                });
            }
        }
    }
    if !publication.leaves.is_empty() {
        let expires_at = workshop.now().plus_days(policy.expire_after_days);
        workshop
            .store
            .retire(
                &build.layer,
                build.target,
                Some(&publication.leaves),
                expires_at,
            )
            .await?;
    }
    Ok(outcome)
}

/// The file with the zip, and its size; should it be gone or damaged, it is built again from its lock, which gives the same bytes.
async fn find_zip(
    workshop: &Workshop,
    build: &BuildRecord,
    layer: Option<&LayerRequest>,
    policy: &Policy,
) -> Result<(PathBuf, u64), StepFailure> {
    let digest = &build.artifact.digest;
    let artifacts = workshop.bench.builder.artifacts();
    let unreadable = |error: std::io::Error| {
        let digest = digest.short();
        StepFailure::lasting(format!(
            "the built layer sha256:{digest} cannot be read: {error}"
        ))
    };
    let lost = match artifacts.verified(digest).await {
        Ok(found) => return Ok(found),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => error,
        Err(error) => return Err(unreadable(error)),
    };
    tracing::warn!(layer = %build.layer, target = %build.target, "building {} {} again: {lost}", build.layer, build.target);
    let packages = layer.map(names).unwrap_or_default();
    let today = workshop.now();
    let options = match layer {
        Some(layer) => options(layer, &packages, build.target, today),
        None => BuildOptions::plain(build.target, today),
    };
    let options = BuildOptions {
        is_staged: policy.staging.is_some(),
        ..options
    };
    restore(&workshop.bench, &build.lock, build.target, &policy.into())
        .await
        .map_err(|failure| StepFailure {
            message: failure.message,
            transient: failure.transient,
        })?;
    workshop
        .bench
        .builder
        .build(&build.lock, &options, &|_| {})
        .await
        .map_err(|error| StepFailure {
            message: error.for_people(),
            transient: error.is_transient(),
        })?;
    artifacts.verified(digest).await.map_err(unreadable)
}

/// Why a version is not live in one region.
enum RegionTrouble {
    /// The account has not enabled it, which is nobody's failure.
    NotEnabled,
    Failed(StepFailure),
}

impl<E: Into<StepFailure>> From<E> for RegionTrouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn in_region(
    workshop: &Workshop,
    publication: &Publication,
    request: &PublishRequest,
    policy: &Policy,
    region: &Region,
) -> Result<LayerArn, RegionTrouble> {
    let build = &publication.build;
    let key = SlotKey {
        layer: build.layer.clone(),
        target: build.target,
        region: region.clone(),
        digest: build.artifact.digest,
        published_name: publication.published_name.clone(),
    };
    let begun_at = workshop.now();
    let row = workshop
        .store
        .begin_publish(&key, &build.version, begun_at)
        .await?;
    if row.state == LayerState::Live
        && let Some(arn) = row.arn
    {
        return Ok(arn);
    }
    let mut is_first_try = true;
    let tries = in_two_tries(
        workshop,
        publication,
        request,
        policy,
        region,
        &mut is_first_try,
    );
    let arn = match tries.await {
        Ok(arn) => arn,
        Err(RegistryError::NotEnabled { .. }) => {
            // An intent from before, or a first try, may have published something while the region was enabled.
            if is_first_try && row.created_at == begun_at {
                workshop.store.drop_intent(&key).await?;
            }
            return Err(RegionTrouble::NotEnabled);
        }
        Err(error) => {
            return Err(RegionTrouble::Failed(StepFailure {
                message: error.reason(),
                transient: error.is_transient(),
            }));
        }
    };
    let expires_at = workshop.now().plus_days(policy.expire_after_days);
    workshop
        .store
        .mark_live(&key, &arn, &policy.visibility, workshop.now(), expires_at)
        .await?;
    Ok(arn)
}

/// One try is "look, then publish if it is not there": a publish whose answer got lost is found again. A registry tries
/// its calls several times itself, and all other regions and the tables wait for the slowest, so there is no third.
async fn in_two_tries(
    workshop: &Workshop,
    publication: &Publication,
    request: &PublishRequest,
    policy: &Policy,
    region: &Region,
    is_first: &mut bool,
) -> Result<LayerArn, RegistryError> {
    let again = || find_or_publish(workshop, publication, request, policy, region);
    match again().await {
        Err(RegistryError::Unheard { at_work_for, .. }) => {
            it_is_over(&*workshop.registry, request, region, at_work_for).await?;
        }
        Err(error) if error.is_transient() => tokio::time::sleep(FIRST_PAUSE).await,
        done => return done,
    }
    *is_first = false;
    again().await
}

/// Waits until a publish that nobody heard of has made its version, at most as long as it may be at work: published
/// again before, it would make two.
async fn it_is_over(
    registry: &dyn Registry,
    request: &PublishRequest,
    region: &Region,
    at_work_for: Duration,
) -> Result<(), RegistryError> {
    let (mut left, mut pause) = (at_work_for, FIRST_PAUSE);
    while pause < left {
        tokio::time::sleep(pause).await;
        (left, pause) = (left - pause, 2 * pause);
        let found = registry.find(region, &request.name, &request.digest);
        if found.await?.is_some() {
            return Ok(());
        }
    }
    tokio::time::sleep(left).await;
    Ok(())
}

async fn find_or_publish(
    workshop: &Workshop,
    publication: &Publication,
    request: &PublishRequest,
    policy: &Policy,
    region: &Region,
) -> Result<LayerArn, RegistryError> {
    let registry = &workshop.registry;
    let found = match registry
        .find(region, &request.name, &request.digest)
        .await?
    {
        Some(found) => read_back(workshop, &found.arn, request, region)
            .await?
            .map(|version| version.arn),
        None => None,
    };
    let is_new = found.is_none();
    let arn = match found {
        Some(arn) => {
            if let Some(staging) = &request.staging
                && request.size > ZIPPED_LIMIT
            {
                registry.unstage(region, &request.digest, staging).await;
            }
            arn
        }
        None => {
            if let Some(alignment) = &publication.alignment {
                advance(&**registry, region, request, alignment).await?;
            }
            registry.publish(region, request).await?.arn
        }
    };
    if publication.alignment.is_some() {
        tidy(&**registry, region, &request.name).await;
    }
    let share = async {
        // Nobody may use what is new. What was there before may be for others than the policy names now.
        if is_new {
            registry.share(&arn, &policy.visibility).await?;
        }
        share_exactly(workshop, &arn, &policy.visibility).await
    };
    // Neither waits for the other: each takes as long as the region is away.
    let (shared, read) = tokio::join!(share, read_back(workshop, &arn, request, region));
    shared?;
    if read?.is_none() {
        return Err(RegistryError::Refused {
            region: region.clone(),
            message: format!("{arn} was published, but reading it back shows another zip"),
        });
    }
    Ok(arn)
}

/// The version as the registry has it now, should its zip be the one that was asked for.
async fn read_back(
    workshop: &Workshop,
    arn: &LayerArn,
    request: &PublishRequest,
    region: &Region,
) -> Result<Option<PublishedVersion>, RegistryError> {
    let version = workshop
        .registry
        .read(arn)
        .await?
        .filter(|version| version.digest == Some(request.digest));
    if version.is_none() {
        tracing::warn!(%arn, %region, "{arn} does not hold sha256:{}", request.digest.short());
    }
    Ok(version)
}
