//! A published layer version as the store knows it.

use super::{Digest, LayerArn, LayerName, Region, Target, Timestamp};
use serde::{Deserialize, Serialize};

/// How far a layer version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerState {
    /// Written down before publishing; nobody knows yet whether AWS has it.
    Intent,
    /// Published, shared and read back: the latest of its layer, target and region.
    Live,
    /// Superseded or retired; usable until it expires.
    Deprecated,
    /// Deleted from the registry.
    Deleted,
}

/// What makes a publication the same publication: a zip, for a layer and target, in a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotKey {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// Where it is published.
    pub region: Region,
    /// SHA-256 of the zip.
    pub digest: Digest,
    /// The name it is published under, prefix included.
    pub published_name: String,
}

/// One row of the store: a layer version, or the intent to publish one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerVersion {
    /// Identity.
    #[serde(flatten)]
    pub key: SlotKey,
    /// How far it has come.
    pub state: LayerState,
    /// The ARN; absent while it is an intent.
    pub arn: Option<LayerArn>,
    /// The layer's version: the first requirement's.
    pub version: String,
    /// When the intent was written.
    pub created_at: Timestamp,
    /// When it went live.
    pub live_at: Option<Timestamp>,
    /// When it is to be deleted; only on deprecated versions.
    pub expires_at: Option<Timestamp>,
}
