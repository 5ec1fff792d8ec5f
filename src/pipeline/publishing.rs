//! Bringing one zip live in every region it is wanted in, exactly once.
//!
//! AWS makes a new version on every publish call, so each region goes: write the intent → look for a version with the
//! digest and adopt it, else publish → share → read back → live, with the previous one deprecated. Every step may be
//! repeated after a crash. One region that fails stops no other.

use super::building::{names, options};
use super::one_region::{RegionTrouble, in_region};
use super::source_builds::restore;
use super::{Desired, StepFailure, Workshop};
use crate::build::{ArtifactError, BuildOptions, HeldZip};
use crate::model::{BuildRecord, LayerRequest, Policy, layer_description};
use crate::plan::{Action, Entry, Outcome, Publication, RegionFailure};
use crate::registry::PublishRequest;
use crate::telemetry::{add, metric};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
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
    let zip = match find_zip(workshop, build, layer, policy).await {
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
        zip: zip.path.clone(),
        size: zip.size,
        digest: build.artifact.digest,
        staging: policy.staging.clone(),
    };
    let work: Vec<_> = publication
        .regions
        .iter()
        .map(|region| {
            in_region(workshop, publication, &request, policy, region)
                .instrument(error_span!("region", %region))
        })
        .collect();
    let results: Vec<_> = stream::iter(work)
        .buffered(CONCURRENT_REGIONS)
        .collect()
        .await;
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

/// The file with the zip; should it be gone or damaged, it is built again from its lock, which gives the same bytes.
async fn find_zip(
    workshop: &Workshop,
    build: &BuildRecord,
    layer: Option<&LayerRequest>,
    policy: &Policy,
) -> Result<HeldZip, StepFailure> {
    let digest = &build.artifact.digest;
    let artifacts = workshop.bench.builder.artifacts();
    let unreadable = |error: ArtifactError| StepFailure {
        message: error.to_string(),
        transient: error.is_transient(),
    };
    let lost = match Box::pin(artifacts.verified(digest)).await {
        Ok(found) => return Ok(found),
        Err(error) if error.is_lost() => error,
        Err(error) => return Err(unreadable(error)),
    };
    tracing::warn!("building {} {} again: {lost}", build.layer, build.target);
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
    let found = Box::pin(artifacts.verified(digest)).await;
    found.map_err(unreadable)
}
