//! Bringing one zip live in every region it is wanted in, exactly once.
//!
//! AWS makes a new version on every publish call, so each region goes: write the intent → look for a version with the
//! digest and adopt it, else publish → share → read back → live, with the previous one deprecated. Every step may be
//! repeated after a crash. One region that fails stops no other.

use super::one_region::{RegionTrouble, in_region};
use super::rebuilding::{Lost, rebuild};
use super::{Desired, StepFailure, Workshop};
use crate::build::HeldZip;
use crate::model::{BuildRecord, layer_description};
use crate::plan::{Action, BuildState, Entry, Outcome, Publication, RegionFailure};
use crate::registry::PublishRequest;
use crate::telemetry::{add, metric};
use futures::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tracing::{Instrument as _, error_span};

/// Regions worked on at once: all there are.
const CONCURRENT_REGIONS: usize = 40;

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

/// Carries out one entry of a plan. A zip that is gone is built again first, unless others build.
///
/// # Errors
/// When the zip cannot be read or the store fails. A region that fails is part of the outcome.
pub async fn carry_out(
    workshop: &Workshop,
    entry: &Entry,
    desired: &Desired,
) -> Result<Carried, StepFailure> {
    match &entry.action {
        Action::Publish(publication) => publish(workshop, publication, desired)
            .await
            .map(Carried::Published),
        _ => carry_out_kept(workshop, entry, desired).await,
    }
}

/// Carries out one entry of a plan, with the zip that is kept.
///
/// # Errors
/// As [`carry_out`], and [`StepFailure::artifact_lost`] when the zip is gone.
pub(super) async fn carry_out_kept(
    workshop: &Workshop,
    entry: &Entry,
    desired: &Desired,
) -> Result<Carried, StepFailure> {
    let policy = &desired.policy;
    match &entry.action {
        Action::Publish(publication) => publish_kept(workshop, publication, desired)
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

/// Carries out one entry of a plan whose zip was gone, after it was to be built again: what came of that. One that is still
/// gone is published nowhere, and the outcome says why; the other layers do not wait for it.
///
/// # Errors
/// As [`carry_out`].
pub(super) async fn carry_out_rebuilt(
    workshop: &Workshop,
    entry: &Entry,
    desired: &Desired,
    rebuilt: &BuildState,
) -> Result<Carried, StepFailure> {
    match (
        carry_out_kept(workshop, entry, desired).await,
        &entry.action,
    ) {
        (Err(lost), Action::Publish(publication)) if lost.artifact_lost => {
            let outcome = match rebuilt {
                BuildState::Failed(failure) => {
                    nowhere(publication, &failure.message, failure.transient)
                }
                _ => nowhere(publication, &lost.message, false),
            };
            Ok(Carried::Published(outcome))
        }
        (carried, _) => carried,
    }
}

/// Publishes a zip to the regions it is missing in, and retires it where it is not wanted any more. One that is gone is built
/// again first; where others build, it is published nowhere until an apply has it built.
///
/// # Errors
/// As [`carry_out`].
pub(super) async fn publish(
    workshop: &Workshop,
    publication: &Publication,
    desired: &Desired,
) -> Result<Outcome, StepFailure> {
    let lost = match publish_kept(workshop, publication, desired).await {
        Err(failure) if failure.artifact_lost => failure,
        published => return published,
    };
    if workshop.handover.is_some() {
        return Ok(nowhere(publication, &lost.message, true));
    }
    let policy = &desired.policy;
    let lost = Lost {
        build: &publication.build,
        layer: desired.layers.get(&publication.build.layer),
        rules: &policy.into(),
        is_staged: policy.staging.is_some(),
    };
    match rebuild(&workshop.bench, &lost).await {
        Ok(()) => {}
        Err(failure) if failure.transient => return Err(StepFailure::transient(failure.message)),
        Err(failure) => return Ok(nowhere(publication, &failure.message, false)),
    }
    match publish_kept(workshop, publication, desired).await {
        Err(failure) if failure.artifact_lost => Ok(nowhere(publication, &failure.message, false)),
        published => published,
    }
}

/// The outcome of a publication that nothing came of yet.
fn not_begun(publication: &Publication) -> Outcome {
    let build = &publication.build;
    Outcome {
        layer: build.layer.clone(),
        target: build.target,
        version: build.version.clone(),
        digest: build.artifact.digest,
        published: Vec::new(),
        already: publication.already.clone(),
        failed: Vec::new(),
        not_enabled: Vec::new(),
        skipped: Vec::new(),
    }
}

/// The outcome of a publication that failed for the same reason in every region.
pub(super) fn nowhere(publication: &Publication, reason: &str, transient: bool) -> Outcome {
    let failed = publication.regions.iter().map(|region| RegionFailure {
        region: region.clone(),
        message: reason.to_owned(),
        transient,
    });
    Outcome {
        failed: failed.collect(),
        ..not_begun(publication)
    }
}

async fn publish_kept(
    workshop: &Workshop,
    publication: &Publication,
    desired: &Desired,
) -> Result<Outcome, StepFailure> {
    let (layer, target) = (&publication.build.layer, publication.build.target);
    let item = error_span!("publish", %layer, %target);
    publish_item(workshop, publication, desired)
        .instrument(item)
        .await
}

async fn publish_item(
    workshop: &Workshop,
    publication: &Publication,
    desired: &Desired,
) -> Result<Outcome, StepFailure> {
    let build = &publication.build;
    let policy = &desired.policy;
    let layer = desired.layers.get(&build.layer);
    workshop.store.put_build(build).await?;
    // Whatever becomes of the zip.
    if !publication.leaves.is_empty() {
        let leaves = Some(publication.leaves.as_slice());
        let expires_at = workshop.now().plus_days(policy.expire_after_days);
        workshop
            .store
            .retire(&build.layer, build.target, leaves, expires_at)
            .await?;
    }
    if publication.regions.is_empty() {
        return Ok(not_begun(publication));
    }
    // Reading all of it takes as long as a look at the regions, which goes on meanwhile.
    let zip = find_zip(workshop, build).boxed().shared();
    let mut outcome = not_begun(publication);
    let request = PublishRequest {
        name: publication.published_name.clone(),
        description: layer_description(&build.layer, &build.version, &build.artifact.digest),
        license: layer
            .and_then(|layer| layer.license.clone())
            .or_else(|| build.artifact.license_info()),
        python: build.target.python,
        architecture: build.target.architecture,
        zip: workshop
            .bench
            .builder
            .artifacts()
            .local()
            .path_of(&build.artifact.digest),
        size: build.artifact.size,
        digest: build.artifact.digest,
        staging: policy.staging.clone(),
    };
    let work: Vec<_> = publication
        .regions
        .iter()
        .map(|region| {
            in_region(workshop, publication, &request, &zip, policy, region)
                .instrument(error_span!("region", %region))
        })
        .collect();
    let results: Vec<_> = stream::iter(work)
        .buffered(CONCURRENT_REGIONS)
        .collect()
        .await;
    // Where all versions were there already, nobody waited for the zip. With one that can never be had another try would not
    // help, and the other layers do not wait for it: the regions say why.
    let has_failed = |result: &Result<_, _>| matches!(result, Err(RegionTrouble::Failed(_)));
    if results.iter().any(has_failed)
        && let Err(failure) = zip.await
        && (failure.transient || failure.artifact_lost)
    {
        return Err(failure);
    }
    for (region, result) in publication.regions.iter().zip(results) {
        match result {
            Ok(arn) => {
                add(&metric::PUBLISHES, &[region.as_str(), "live"], 1);
                outcome.published.push(arn);
            }
            Err(RegionTrouble::NotEnabled) => {
                add(&metric::PUBLISHES, &[region.as_str(), "not_enabled"], 1);
                outcome.not_enabled.push(region.clone());
            }
            Err(RegionTrouble::Failed(failure)) => {
                add(&metric::PUBLISHES, &[region.as_str(), "failed"], 1);
                tracing::warn!(%region, reason = %failure.message, "publishing {} {} in {region} failed", build.layer, build.target);
                outcome.failed.push(RegionFailure {
                    region: region.clone(),
                    message: failure.message,
                    transient: failure.transient,
                });
            }
        }
    }
    let (live, all) = (outcome.published.len(), publication.regions.len());
    tracing::info!(
        "{} {} for {} is live in {live} of {all} regions",
        build.layer,
        build.version,
        build.target
    );
    Ok(outcome)
}

/// The file with the zip, verified.
async fn find_zip(workshop: &Workshop, build: &BuildRecord) -> Result<Arc<HeldZip>, StepFailure> {
    let artifacts = workshop.bench.builder.artifacts();
    let found = Box::pin(artifacts.verified(&build.artifact.digest)).await;
    found.map(Arc::new).map_err(|error| {
        if error.is_lost() {
            StepFailure::of_lost_artifact(error.to_string())
        } else {
            StepFailure::new(error.to_string(), error.is_transient())
        }
    })
}
