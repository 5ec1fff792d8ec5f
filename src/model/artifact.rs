//! A built layer zip and where it came from.

use super::{BuildReport, Digest, LayerName, Lock, Target, Timestamp};
use serde::{Deserialize, Serialize};

/// A package inside a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// Normalised name (PEP 503).
    pub name: String,
    /// Version (PEP 440).
    pub version: String,
    /// What its metadata says of its licence, on one line.
    pub license: Option<String>,
}

/// A layer zip, found by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// SHA-256 of the zip.
    pub digest: Digest,
    /// Size of the zip in bytes.
    pub size: u64,
    /// Bytes of its files once unpacked.
    pub unzipped_size: u64,
    /// Files in it.
    pub files: u64,
    /// What is inside, sorted by name.
    pub pins: Vec<Pin>,
    /// How it was built and what was found in it.
    #[serde(default)]
    pub report: BuildReport,
}

/// One build of a layer for a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// The layer.
    pub layer: LayerName,
    /// What it was built for.
    pub target: Target,
    /// [`super::LayerRequest::fingerprint`] of what was asked for.
    pub fingerprint: Digest,
    /// The layer's version: the first requirement's.
    pub version: String,
    /// What was resolved.
    pub lock: Lock,
    /// What came out.
    pub artifact: Artifact,
    /// When.
    pub built_at: Timestamp,
}

impl Artifact {
    /// Every licence stated by a package inside, joined for AWS' one-line `LicenseInfo` of at most 512 characters.
    #[must_use]
    pub fn license_info(&self) -> Option<String> {
        let mut licenses: Vec<&str> = self
            .pins
            .iter()
            .filter_map(|pin| pin.license.as_deref())
            .collect();
        licenses.sort_unstable();
        licenses.dedup();
        if licenses.is_empty() {
            return None;
        }
        let joined = licenses.join(", ");
        if joined.chars().count() <= 512 {
            return Some(joined);
        }
        let cut: String = joined.chars().take(511).collect();
        Some(format!("{cut}…"))
    }
}

/// The largest zip AWS Lambda takes in a direct upload: 50 MiB (AWS Lambda quotas, "Deployment package size").
pub const ZIPPED_LIMIT: u64 = 50 * 1024 * 1024;
/// The most a function and all its layers may take unzipped: 250 MiB (AWS Lambda quotas).
pub const UNZIPPED_LIMIT: u64 = 250 * 1024 * 1024;
