//! Desired state: what should be live for each layer and target, and what is known of its zip.

use crate::model::{
    BuildRecord, Digest, LayerName, LayerRequest, Location, OfferedRegions, Policy, Region, Target,
    published_layer_name,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What should be live for one layer and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// The name it is published under, prefix included.
    pub published_name: String,
    /// Where it should be live; sorted.
    pub regions: Vec<Region>,
    /// Whether it should have the same version number in all of them.
    #[serde(default)]
    pub aligned: bool,
    /// Where it would be, had the account enabled the region; sorted.
    pub not_enabled: Vec<Region>,
    /// Whether a zip above the limit of a direct upload can go through a bucket.
    pub is_staged: bool,
    /// [`LayerRequest::fingerprint`].
    pub fingerprint: Digest,
    /// The request file.
    pub path: String,
    /// Where in the request file problems with it are shown.
    pub location: Location,
    /// Where the packages asked for (normalised names) stand in the request file.
    pub packages: BTreeMap<String, Location>,
    /// What is known of its zip.
    pub build: BuildState,
}

/// What is known of the zip that a [`Wanted`] asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// Nothing: it has to be resolved and built first.
    Unknown,
    /// These packages (normalised names) have no wheel and are built from source, which is not done before the merge.
    FromSource(Vec<String>),
    /// It is built.
    Built(Box<BuildRecord>),
    /// It cannot be built.
    Failed(BuildFailure),
}

impl BuildState {
    /// The package to blame (normalised name), where there is something to blame one for.
    #[must_use]
    pub fn blamed(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::FromSource(_) => None,
            Self::Built(build) => build.artifact.report.package_to_blame(),
            Self::Failed(failure) => failure.package.as_deref(),
        }
    }
}

/// Why a layer cannot be built for a target, in words for the person who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// What is wrong and what can be done.
    pub message: String,
    /// The package to blame (normalised name), where one is.
    pub package: Option<String>,
    /// Whether trying again later may help.
    pub transient: bool,
}

/// What should be live: every layer × target that the requests ask for, builds filled in where one with the same
/// fingerprint exists. Sorted by layer, then target.
///
/// `offered` are the regions that the registry has. `builds` are oldest first: of several with one fingerprint, which
/// upgrades make, the newest is wanted.
#[must_use]
pub fn wanted(
    layers: &BTreeMap<LayerName, LayerRequest>,
    policy: &Policy,
    offered: &OfferedRegions,
    builds: &[BuildRecord],
) -> Vec<Wanted> {
    let by_fingerprint: BTreeMap<(&LayerName, Target, Digest), &BuildRecord> = builds
        .iter()
        .map(|build| ((&build.layer, build.target, build.fingerprint), build))
        // The later one takes the place of the earlier.
        .collect();
    let mut wanted = Vec::new();
    for (name, request) in layers {
        let (regions, not_enabled) = policy.regions_for(request.regions.as_deref(), offered);
        for &target in &request.targets {
            let fingerprint = request.fingerprint(target, policy);
            let build = by_fingerprint
                .get(&(name, target, fingerprint))
                .map_or(BuildState::Unknown, |build| {
                    BuildState::Built(Box::new((*build).clone()))
                });
            wanted.push(Wanted {
                layer: name.clone(),
                target,
                published_name: published_layer_name(&policy.prefix, target, name),
                regions: regions.clone(),
                aligned: policy.align_versions,
                not_enabled: not_enabled.clone(),
                is_staged: policy.staging.is_some(),
                fingerprint,
                path: request.path.clone(),
                location: request.location_of(build.blamed().unwrap_or_default()),
                packages: request
                    .packages
                    .iter()
                    .map(|package| (package.name.clone(), request.location_of(&package.name)))
                    .collect(),
                build,
            });
        }
    }
    wanted
}
