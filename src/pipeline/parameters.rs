//! The public names of layers: brought up to date after publishing, and put right by a run that publishes nothing.

use super::{StepFailure, Workshop};
use crate::model::{LayerPrefix, ParameterPath, Policy, Region};
use crate::plan::{
    Parameters, ParametersOutcome, RegionFailure, parameter_changes, wanted_parameters,
};
use crate::registry::RegistryError;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::time::Duration;

/// Regions worked on at once: all there are.
const CONCURRENT_REGIONS: usize = 40;
/// Parameters written at once in one region: Parameter Store takes three a second, and more in bursts (AWS Systems
/// Manager quotas, "Parameter Store", `PutParameter`).
const CONCURRENT_WRITES: usize = 3;
/// The longest that one region may take; what is left is done by the next run.
const REGION_LIMIT: Duration = Duration::from_secs(120);

/// Writes what is missing or differs, and removes what names nothing any more, also in regions and under prefixes that the
/// policy does not name any more. Does nothing where the policy has no parameters.
///
/// # Errors
/// When the store fails, or the registry cannot say which regions it has. A region that fails is part of the outcome.
pub(super) async fn put_parameters(
    workshop: &Workshop,
    policy: &Policy,
) -> Result<ParametersOutcome, StepFailure> {
    let mut outcome = ParametersOutcome::default();
    let Some(path) = &policy.parameters else {
        return Ok(outcome);
    };
    let mut versions = workshop.store.layer_versions().await?;
    versions.extend(workshop.store.deleted_versions(None).await?);
    let mut wanted = wanted_parameters(path, &versions);
    drop(versions);
    let offered = workshop.registry.regions().await?;
    // Where nothing is left, names may be; of what the store knows nothing of, under the prefix of now.
    wanted.retain(|(region, _), wanted| !wanted.is_empty() || offered.enabled.contains(region));
    for region in policy.regions_for(None, &offered).0 {
        wanted.entry((region, policy.prefix.clone())).or_default();
    }
    let mut regions: BTreeMap<Region, Vec<(LayerPrefix, Parameters)>> = BTreeMap::new();
    for ((region, prefix), wanted) in wanted {
        regions.entry(region).or_default().push((prefix, wanted));
    }
    let work: Vec<_> = regions
        .iter()
        .map(|(region, folders)| async move {
            let changed = in_region(workshop, path, region, folders);
            let result = tokio::time::timeout(REGION_LIMIT, changed).await;
            let result = result.unwrap_or_else(|_| {
                Err(RegistryError::Unreachable {
                    region: region.clone(),
                    message: format!("not done within {} s", REGION_LIMIT.as_secs()),
                })
            });
            (region, folders, result)
        })
        .collect();
    let results: Vec<_> = stream::iter(work)
        .buffered(CONCURRENT_REGIONS)
        .collect()
        .await;
    for (region, folders, result) in results {
        match result {
            Ok((written, removed)) => {
                outcome.written += written;
                outcome.removed += removed;
            }
            // What was published there stays as it is, and that is as the account wants it.
            Err(RegistryError::NotEnabled { .. }) => {
                tracing::info!(%region, "the account has not enabled {region}: its parameters stay as they are");
            }
            Err(error) => {
                let reason = error.reason();
                tracing::warn!(%region, "the parameters in {region} are not up to date: {reason}");
                if folders.iter().any(|(_, wanted)| !wanted.is_empty()) {
                    outcome.failed.push(RegionFailure {
                        region: region.clone(),
                        message: reason,
                        transient: error.is_transient(),
                    });
                }
            }
        }
    }
    Ok(outcome)
}

/// How many were written and removed in all folders of a region. One that fails stops no other.
async fn in_region(
    workshop: &Workshop,
    path: &ParameterPath,
    region: &Region,
    folders: &[(LayerPrefix, Parameters)],
) -> Result<(usize, usize), RegistryError> {
    let (mut written, mut removed, mut failed) = (0, 0, None);
    for (prefix, wanted) in folders {
        match in_folder(workshop, path, region, prefix, wanted).await {
            Ok(changed) => {
                written += changed.0;
                removed += changed.1;
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok((written, removed)), Err)
}

async fn in_folder(
    workshop: &Workshop,
    path: &ParameterPath,
    region: &Region,
    prefix: &LayerPrefix,
    wanted: &Parameters,
) -> Result<(usize, usize), RegistryError> {
    let registry = &workshop.registry;
    let folder = path.of_catalog(prefix);
    let found = registry.parameters(region, &folder).await?;
    let (write, remove) = parameter_changes(path, prefix, wanted, &found);
    let writes: Vec<_> = write
        .iter()
        .map(|(name, value)| registry.put_parameter(region, name, value))
        .collect();
    let written: Vec<Result<(), RegistryError>> = stream::iter(writes)
        .buffer_unordered(CONCURRENT_WRITES)
        .collect()
        .await;
    written.into_iter().collect::<Result<Vec<()>, _>>()?;
    if !remove.is_empty() {
        registry.delete_parameters(region, &remove).await?;
    }
    Ok((write.len(), remove.len()))
}
