//! Who may use what is published, brought to what the policy says.

use super::by_region::{ArnFailure, in_all_regions};
use super::{StepFailure, Workshop};
use crate::model::{LayerArn, Policy, Region, Visibility};
use crate::plan::PermissionsFailure;
use crate::registry::RegistryError;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Versions whose permissions are brought to what they should be before that is written down.
const BATCH: usize = 500;

/// What changing permissions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// What others may use now than before, or was looked at for the first time.
    pub changed: usize,
    /// What could not be changed; the tables do not list it until it is.
    pub failed: Vec<ArnFailure>,
    /// Regions with something to change that the account has not enabled: it waits there, which is no failure.
    #[serde(default)]
    pub not_enabled: BTreeSet<Region>,
}

impl Shared {
    /// What could not be changed, for people who read of regions rather than of ARNs.
    pub(super) fn failures_by_region(&self) -> Vec<PermissionsFailure> {
        let mut regions: BTreeMap<&Region, PermissionsFailure> = BTreeMap::new();
        for failure in &self.failed {
            let region = &failure.arn.region;
            let of_region = regions.entry(region).or_insert_with(|| PermissionsFailure {
                region: region.clone(),
                versions: 0,
                message: failure.message.clone(),
                transient: false,
            });
            of_region.versions += 1;
            of_region.transient |= failure.transient;
        }
        regions.into_values().collect()
    }
}

/// Gives and takes back permissions of every live and still usable version that is not known to be for exactly those
/// whom the policy names; reads them back before that is written down. What was written down is not asked about again, so
/// that a long change which was cut short goes on where it was.
///
/// The caller has the turn to publish.
///
/// # Errors
/// When the store fails. A version whose permissions cannot be changed is part of the answer.
pub async fn settle_visibility(
    workshop: &Workshop,
    policy: &Policy,
) -> Result<Shared, StepFailure> {
    let store = &workshop.store;
    list_meanwhile(store.as_ref(), policy).await?;
    let rows = store.shared_otherwise(&policy.visibility, None).await?;
    let arns: Vec<LayerArn> = rows.into_iter().filter_map(|(row, _)| row.arn).collect();
    let mut shared = Shared::default();
    for batch in arns.chunks(BATCH) {
        let work = batch.iter().map(|arn| (arn.region.clone(), arn)).collect();
        let results =
            in_all_regions(work, |arn| share_exactly(workshop, arn, &policy.visibility)).await;
        for (arn, result) in batch.iter().zip(results) {
            match result {
                Ok(()) => {
                    let store = &workshop.store;
                    store.record_visibility(arn, &policy.visibility).await?;
                    shared.changed += 1;
                }
                Err(RegistryError::NotEnabled { region }) => {
                    shared.not_enabled.insert(region);
                }
                Err(error) => {
                    tracing::warn!(%arn, reason = %error, "who may use {arn} cannot be changed: {error}");
                    shared.failed.push(ArnFailure::new(arn.clone(), &error));
                }
            }
        }
    }
    for region in &shared.not_enabled {
        tracing::info!(%region, "the account has not enabled {region}: who may use what is there waits");
    }
    Ok(shared)
}

/// Sees to it that pages and the read API list what was for those whom an earlier policy named and what is for those whom
/// this one names: until the tables are committed, when only the latter are listed.
///
/// # Errors
/// When the store fails.
pub async fn list_meanwhile(store: &dyn Store, policy: &Policy) -> anyhow::Result<()> {
    let mut listed = store.listed_for().await?;
    if !listed.is_empty() && !listed.contains(&policy.visibility) {
        listed.push(policy.visibility.clone());
        store.list_for(&listed).await?;
    }
    Ok(())
}

/// Sees to it that pages and the read API list what the tables list that were written just now.
///
/// # Errors
/// When the store fails.
pub async fn list_as_tables(store: &dyn Store, policy: &Policy) -> anyhow::Result<()> {
    let for_whom = std::slice::from_ref(&policy.visibility);
    if store.listed_for().await? != for_whom {
        store.list_for(for_whom).await?;
    }
    Ok(())
}

/// Lets exactly those use a version whom the visibility names, and reads that back.
pub(super) async fn share_exactly(
    workshop: &Workshop,
    arn: &LayerArn,
    visibility: &Visibility,
) -> Result<(), RegistryError> {
    let registry = &workshop.registry;
    if registry.is_shared(arn, visibility).await? {
        return Ok(());
    }
    registry.set_visibility(arn, visibility).await?;
    if registry.is_shared(arn, visibility).await? {
        return Ok(());
    }
    Err(RegistryError::Refused {
        region: arn.region.clone(),
        message: format!("the permissions of {arn} read back are not those asked for"),
    })
}
