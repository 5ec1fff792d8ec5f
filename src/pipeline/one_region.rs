//! Bringing one zip live in one region, exactly once.

use super::aligning::{advance, tidy};
use super::visibility::share_exactly;
use super::{StepFailure, Workshop};
use crate::model::{LayerArn, LayerState, Policy, Region, SlotKey, ZIPPED_LIMIT};
use crate::plan::Publication;
use crate::registry::{PublishRequest, PublishedVersion, Registry, RegistryError};
use std::time::Duration;

/// Before a region is tried once more, or what may be at work there is looked for; each later look doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Why a version is not live in one region.
pub(super) enum RegionTrouble {
    /// The account has not enabled it, which is nobody's failure.
    NotEnabled,
    Failed(StepFailure),
}

impl<E: Into<StepFailure>> From<E> for RegionTrouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Intent, look or publish, share, read back, live.
pub(super) async fn in_region(
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
            let failure = StepFailure::new(error.reason(), error.is_transient());
            return Err(RegionTrouble::Failed(failure));
        }
    };
    let expires_at = workshop.now().plus_days(policy.expire_after_days);
    workshop
        .store
        .mark_live(&key, &arn, &policy.visibility, workshop.now(), expires_at)
        .await?;
    tracing::debug!(%arn, "{} {} for {} is live in {region}: {arn}", build.layer, build.version, build.target);
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
                registry
                    .unstage(region, &request.name, &request.digest, staging)
                    .await;
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
