//! What carrying out one entry of a plan came to.

use crate::model::{Digest, LayerArn, LayerName, Region, Target};
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// Not published to, because of what came after the plan; sorted by region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedRegion>,
}

/// A region that a plan is not carried out in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRegion {
    /// Where.
    pub region: Region,
    /// Why.
    pub reason: SkipReason,
}

/// What came after a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Another version went live there.
    Superseded,
    /// It was not asked for there any more.
    Unwanted,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superseded => "another version went live there meanwhile",
            Self::Unwanted => "nobody asks for it there any more",
        })
    }
}
