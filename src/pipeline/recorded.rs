//! The layer versions that a plan is compared with.

use crate::model::{LayerName, LayerVersion, Policy};
use crate::store::Store;
use std::collections::BTreeSet;

/// Every version that is not deleted, or those of some layers. Where the policy has version numbers aligned, deleted ones as
/// well: AWS uses no number again, be it that of a version which is gone.
///
/// # Errors
/// When the store fails.
pub async fn recorded(
    store: &dyn Store,
    policy: &Policy,
    layers: Option<&BTreeSet<LayerName>>,
) -> anyhow::Result<Vec<LayerVersion>> {
    let mut versions = match layers {
        Some(layers) => store.layer_versions_of(layers).await?,
        None => store.layer_versions().await?,
    };
    if policy.align_versions {
        versions.extend(store.deleted_versions(layers).await?);
    }
    Ok(versions)
}
