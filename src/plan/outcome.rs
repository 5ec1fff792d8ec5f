//! What carrying out one entry of a plan came to.

use crate::model::{Digest, LayerArn, LayerName, Region, Target};
use serde::{Deserialize, Serialize};

/// A region where a version could not be brought live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionFailure {
    /// Where.
    pub region: Region,
    /// What the registry said.
    pub message: String,
    /// Whether trying again later may help.
    pub transient: bool,
}

/// A region where it could not be changed who may use versions that are published there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionsFailure {
    /// Where.
    pub region: Region,
    /// How many versions.
    pub versions: usize,
    /// What the registry said of the first of them.
    pub message: String,
    /// Whether trying again later may help, for one of them at least.
    pub transient: bool,
}

/// What became of one layer and target: every region of its plan is in exactly one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// The layer's version.
    pub version: String,
    /// SHA-256 of the zip.
    pub digest: Digest,
    /// Live now, read back; sorted by region.
    pub published: Vec<LayerArn>,
    /// Live before; sorted by region.
    pub already: Vec<Region>,
    /// Not live; sorted by region.
    pub failed: Vec<RegionFailure>,
    /// Not live, because the account has not enabled the region, which showed when it was asked; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_enabled: Vec<Region>,
}
