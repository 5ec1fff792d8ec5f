//! What is live of one layer and target, told of all its regions together.

use crate::model::{Digest, LayerVersion, Region};
use std::collections::{BTreeMap, BTreeSet};

/// The regions of some versions, each once, sorted.
pub(super) fn regions_of(versions: &[&LayerVersion]) -> Vec<Region> {
    let regions: BTreeSet<&Region> = versions.iter().map(|version| &version.key.region).collect();
    regions.into_iter().cloned().collect()
}

/// The version of the layer that is live in most regions.
pub(super) fn main_version(live: &[&LayerVersion]) -> Option<String> {
    most_common(live).map(|version| version.version.clone())
}

/// One of the versions whose zip is live in most regions; of equals the one with the smallest digest.
pub(super) fn most_common<'a>(live: &[&'a LayerVersion]) -> Option<&'a LayerVersion> {
    let mut counts: BTreeMap<Digest, (usize, &'a LayerVersion)> = BTreeMap::new();
    for version in live {
        counts.entry(version.key.digest).or_insert((0, version)).0 += 1;
    }
    counts
        .into_values()
        .rev()
        .max_by_key(|(count, _)| *count)
        .map(|(_, version)| version)
}
