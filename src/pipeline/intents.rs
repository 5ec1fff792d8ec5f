//! Intents that came to nothing: what they were to publish was superseded before their region answered, or nobody wants it there
//! any more.
//!
//! The publish that they stand for may have happened all the same. Then there is a version that nobody recorded: it is
//! recorded as one that was superseded, and expires like any other.

use super::by_region::in_all_regions;
use super::visibility::share_exactly;
use super::{Desired, StepFailure, Workshop};
use crate::model::{Digest, LayerArn, LayerVersion, Policy, SlotKey, ZIPPED_LIMIT};
use crate::plan::Plan;
use crate::registry::RegistryError;
use crate::store::Earlier;
use std::collections::BTreeSet;

/// Settles every intent that the plan does not stand behind, or that nobody wants any more. Those in regions that do not answer,
/// or that the account has not enabled, are left as they are.
///
/// The caller has the turn to publish, and has carried the plan out.
///
/// # Errors
/// When the store fails, or the registry cannot say which regions it has.
pub async fn settle_intents(
    workshop: &Workshop,
    desired: &Desired,
    plan: &Plan,
) -> Result<(), StepFailure> {
    let policy = &desired.policy;
    let mut stale = workshop.store.intents().await?;
    if stale.is_empty() {
        return Ok(());
    }
    let stands: BTreeSet<SlotKey> = plan
        .publications()
        .flat_map(|(_, publication)| {
            publication.regions.iter().map(|region| SlotKey {
                layer: publication.build.layer.clone(),
                target: publication.build.target,
                region: region.clone(),
                digest: publication.build.artifact.digest,
                published_name: publication.published_name.clone(),
            })
        })
        .collect();
    let offered = workshop.registry.regions().await?;
    let is_wanted = |key: &SlotKey| {
        let wanted = desired.wanted_in(&key.layer, key.target, &offered);
        wanted.is_none_or(|regions| regions.contains(&key.region))
    };
    stale.retain(|intent| !(stands.contains(&intent.key) && is_wanted(&intent.key)));
    wait_for_what_is_at_work(workshop, &stale).await?;
    let staged = staged(workshop, policy).await?;
    let work = stale
        .iter()
        .map(|intent| (intent.key.region.clone(), intent))
        .collect();
    let found = in_all_regions(work, |intent| came_to(workshop, policy, &staged, intent)).await;
    for (intent, found) in stale.iter().zip(found) {
        let key = &intent.key;
        match found {
            Err(error) => {
                // What was at work is waited for already.
                workshop.store.note_idle(key).await?;
                if matches!(error, RegistryError::NotEnabled { .. }) {
                    continue;
                }
                tracing::warn!(layer = %key.layer, region = %key.region, "what became of an unfinished publication is not known: {error}");
                continue;
            }
            Ok(Some(arn)) => {
                let now = workshop.now();
                let expires_at = now.plus_days(policy.expire_after_days);
                let visibility = &policy.visibility;
                workshop
                    .store
                    .adopt(key, &intent.version, &arn, visibility, now, expires_at)
                    .await?;
            }
            Ok(None) => {}
        }
        workshop.store.drop_intent(key).await?;
    }
    Ok(())
}

/// Waits until nothing can be at work any more that would make a version of an intent: whoever sent it may have died a moment
/// ago, and what came to be after a look would be recorded by nobody.
async fn wait_for_what_is_at_work(
    workshop: &Workshop,
    intents: &[LayerVersion],
) -> Result<(), StepFailure> {
    let mut is_at_work = false;
    for intent in intents {
        let (key, version) = (&intent.key, &intent.version);
        let begun = workshop
            .store
            .begin_publish(key, version, workshop.now())
            .await?;
        is_at_work |= begun.earlier == Earlier::Open;
    }
    if is_at_work {
        tokio::time::sleep(workshop.registry.at_work_for()).await;
    }
    Ok(())
}

/// The zips that go through the policy's staging buckets.
async fn staged(workshop: &Workshop, policy: &Policy) -> Result<BTreeSet<Digest>, StepFailure> {
    if policy.staging.is_none() {
        return Ok(BTreeSet::new());
    }
    let builds = workshop.store.builds().await?.into_iter();
    let artifacts = builds.map(|build| build.artifact);
    let large = artifacts.filter(|artifact| artifact.size > ZIPPED_LIMIT);
    Ok(large.map(|artifact| artifact.digest).collect())
}

/// The version that an intent became, should it have become one. What it left in a staging bucket is taken away.
async fn came_to(
    workshop: &Workshop,
    policy: &Policy,
    staged: &BTreeSet<Digest>,
    intent: &LayerVersion,
) -> Result<Option<LayerArn>, RegistryError> {
    let (registry, key) = (&workshop.registry, &intent.key);
    let found = registry
        .find(&key.region, &key.published_name, &key.digest)
        .await?;
    if let Some(staging) = &policy.staging
        && staged.contains(&key.digest)
    {
        let name = &key.published_name;
        registry
            .unstage(&key.region, name, &key.digest, staging)
            .await;
    }
    let Some(found) = found else { return Ok(None) };
    let version = registry.read(&found.arn).await?;
    if version.and_then(|version| version.digest) != Some(key.digest) {
        return Ok(None);
    }
    share_exactly(workshop, &found.arn, &policy.visibility).await?;
    Ok(Some(found.arn))
}
