//! Deleting what has expired, and nothing else.
//!
//! A version is deleted from the registry first and marked as deleted then: after a crash in between, deleting it once
//! more is success. What a request's `keep` names has no expiry date as long as it does.

use super::by_region::{ArnFailure, in_all_regions};
use super::{Desired, StepFailure, Workshop};
use crate::model::{LayerArn, LayerName, LayerVersion, Region};
use crate::registry::RegistryError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Versions deleted before that is written down.
const BATCH: usize = 500;

/// What deleting what has expired came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// What is gone, the longest expired first.
    pub deleted: Vec<LayerArn>,
    /// What could not be deleted; it is tried again the next time.
    pub failed: Vec<ArnFailure>,
    /// Regions with something to delete that the account has not enabled: it waits there, which is no failure.
    #[serde(default)]
    pub not_enabled: BTreeSet<Region>,
}

/// Takes the expiry date from deprecated versions that a request keeps, and gives one, counted from now, to those that it
/// keeps no longer. Layers whose request files cannot be read are left alone.
///
/// # Errors
/// When the store fails.
pub async fn settle_expiries(workshop: &Workshop, desired: &Desired) -> Result<(), StepFailure> {
    let keeping: Vec<LayerName> = desired
        .layers
        .values()
        .filter(|request| !request.keep.is_empty())
        .map(|request| request.name.clone())
        .collect();
    let rows = workshop.store.that_may_be_kept(&keeping).await?;
    let later = workshop.now().plus_days(desired.policy.expire_after_days);
    let changes: Vec<_> = rows
        .into_iter()
        .filter(|row| !desired.held.contains(&row.key.layer))
        .filter_map(
            |row| match (is_kept(desired, &row), row.expires_at.is_some()) {
                (true, true) => Some((row.arn?, None)),
                (false, false) => Some((row.arn?, Some(later))),
                _ => None,
            },
        )
        .collect();
    if !changes.is_empty() {
        workshop.store.set_expiries(&changes).await?;
    }
    Ok(())
}

/// Deletes every deprecated version whose time is over, except what `keep` names and what belongs to layers whose request
/// files cannot be read: a mistake in a file must not take a version away.
///
/// The caller has the turn to publish.
///
/// # Errors
/// When the store fails. A version that cannot be deleted is part of the answer.
pub async fn expire(workshop: &Workshop, desired: &Desired) -> Result<Expired, StepFailure> {
    settle_expiries(workshop, desired).await?;
    let rows = workshop.store.expired(workshop.now()).await?;
    let due: Vec<LayerArn> = rows
        .into_iter()
        .filter(|row| !desired.held.contains(&row.key.layer) && !is_kept(desired, row))
        .filter_map(|row| row.arn)
        .collect();
    let mut expired = Expired::default();
    for batch in due.chunks(BATCH) {
        let work = batch.iter().map(|arn| (arn.region.clone(), arn)).collect();
        let results = in_all_regions(work, |arn| workshop.registry.delete(arn)).await;
        let mut gone = Vec::new();
        for (arn, result) in batch.iter().zip(results) {
            match result {
                Ok(()) => gone.push(arn.clone()),
                Err(RegistryError::NotEnabled { region }) => {
                    expired.not_enabled.insert(region);
                }
                Err(error) => {
                    tracing::warn!(%arn, reason = %error, "{arn} has expired and cannot be deleted: {error}");
                    expired.failed.push(ArnFailure::new(arn.clone(), &error));
                }
            }
        }
        workshop.store.mark_deleted(&gone).await?;
        expired.deleted.extend(gone);
    }
    // The store has them in the order in which regions happened to answer.
    expired.deleted.sort();
    for region in &expired.not_enabled {
        tracing::info!(%region, "the account has not enabled {region}: what has expired there waits");
    }
    Ok(expired)
}

fn is_kept(desired: &Desired, row: &LayerVersion) -> bool {
    let request = desired.layers.get(&row.key.layer);
    request.is_some_and(|request| request.keeps(&row.version))
}
