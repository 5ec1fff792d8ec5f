//! Reading back what is recorded as published, and mending what differs.
//!
//! Looking goes on beside whatever else is published; what it found is looked at once more within the turn to publish,
//! so that a version that came or went meanwhile is not taken for a mistake.

mod listing;
mod observe;
mod repair;

pub(super) use listing::{Listing, NamesRead};
pub(super) use observe::{Look, PartRead, read_part};
pub use observe::{observe, still_wrong};
pub use repair::repair;

use crate::model::{Digest, LayerArn, LayerName, Region, Target};
use crate::plan::{Outcome, RegionFailure};
use crate::registry::RegistryError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Recorded versions of which it is not believed that all of them were lost.
const LOST_AT_ONCE: usize = 10;

/// What is wrong with one layer version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It is recorded and the registry does not have it.
    Missing,
    /// The registry has another zip under its number.
    OtherDigest {
        /// SHA-256 of that one, where the registry tells it.
        found: Option<Digest>,
    },
    /// Not everybody may use it whom the policy names.
    NotShared,
    /// Everybody may use it whom the policy names, and others as well.
    SharedOtherwise,
    /// The registry has it under a name of the catalog, and nobody recorded it.
    Unknown {
        /// Its description.
        description: String,
        /// SHA-256 of its zip.
        digest: Option<Digest>,
        /// What it is, where it is a known build.
        of: Option<Known>,
    },
    /// A version that was made to get to a number, and left over.
    ThrowAway,
}

/// The build that a version nobody recorded is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// The layer's version.
    pub version: String,
}

/// What became of something that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mended {
    /// Nobody tried.
    No,
    /// It is published anew under this ARN; the old one has left the tables.
    Republished(LayerArn),
    /// It has left the tables.
    Forgotten,
    /// Exactly those whom the policy names may use it.
    Shared,
    /// It is recorded, to expire like a version that was superseded.
    Adopted,
    /// It is deleted.
    Deleted,
    /// It could not be mended.
    Failed(String),
}

/// One layer version that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which one.
    pub arn: LayerArn,
    /// What is wrong.
    pub wrong: Wrong,
    /// Whether it is recorded as the latest of its layer, target and region.
    #[serde(default)]
    pub is_live: bool,
    /// What became of it.
    pub mended: Mended,
}

impl Finding {
    pub(super) fn new(arn: LayerArn, wrong: Wrong) -> Self {
        Self {
            arn,
            wrong,
            is_live: false,
            mended: Mended::No,
        }
    }

    /// Whether it is as it should be by now.
    #[must_use]
    pub fn is_mended(&self) -> bool {
        !matches!(self.mended, Mended::No | Mended::Failed(_))
    }

    /// Whether what is recorded is not there.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.wrong, Wrong::Missing | Wrong::OtherDigest { .. })
    }
}

/// What reading back came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Recorded versions that were read back.
    pub checked: usize,
    /// What is wrong, sorted by ARN.
    pub findings: Vec<Finding>,
    /// Regions that could not be read, or not to their end: nothing is known of the rest of them.
    pub unverified: Vec<RegionFailure>,
    /// Regions that were not read because the account has not enabled them, which is no failure.
    #[serde(default)]
    pub not_enabled: BTreeSet<Region>,
    /// What an earlier repair that was cut short, or whatever else, left out: published where it was missing.
    #[serde(default)]
    pub backfilled: Vec<Outcome>,
}

impl Verified {
    /// Why this is not mended unasked: none of the recorded versions is there, and they are many. Whoever looks in the wrong
    /// place finds that. To be asked before what [is no longer wrong](still_wrong) is dropped.
    #[must_use]
    pub fn disbelief(&self) -> Option<String> {
        let is_missing = |finding: &&Finding| finding.wrong == Wrong::Missing;
        let missing = self.findings.iter().filter(is_missing).count();
        (self.checked > LOST_AT_ONCE && missing == self.checked).then(|| format!(
            "none of the {missing} recorded versions is there: is this where they were published (LAYERSMITH_REGISTRY, the credentials' account)? \
             Nothing was mended; if they are lost indeed, `layersmith verify --repair --all-missing` has all of them published anew",
        ))
    }

    /// Whether nothing is wrong, or everything that was is mended.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(Finding::is_mended)
            && self.backfilled.iter().all(|it| it.failed.is_empty())
    }

    /// Notes that a region could not be read; the first reason counts.
    fn not_read(&mut self, error: &RegistryError) {
        let region = error.region().clone();
        if matches!(error, RegistryError::NotEnabled { .. }) {
            self.not_enabled.insert(region);
        } else if !self.unverified.iter().any(|known| known.region == region) {
            self.unverified.push(RegionFailure {
                region,
                message: error.reason(),
                transient: error.is_transient(),
            });
        }
    }

    /// Adds what is known of another part.
    pub(super) fn add(&mut self, part: Self) {
        self.checked += part.checked;
        self.findings.extend(part.findings);
        self.not_enabled.extend(part.not_enabled);
        for failure in part.unverified {
            if !self.unverified.iter().any(|it| it.region == failure.region) {
                self.unverified.push(failure);
            }
        }
    }

    /// Puts everything in its order.
    pub(super) fn sort(&mut self) {
        self.findings.sort_by(|a, b| a.arn.cmp(&b.arn));
        self.unverified.sort_by(|a, b| a.region.cmp(&b.region));
    }

    fn is_read(&self, region: &Region) -> bool {
        !self.not_enabled.contains(region) && !self.unverified.iter().any(|it| it.region == *region)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing: AWS does not have it"),
            Self::OtherDigest { found: Some(found) } => {
                write!(
                    f,
                    "other digest: AWS has a zip with sha256:{}",
                    found.short()
                )
            }
            Self::OtherDigest { found: None } => f.write_str("other digest: AWS tells none"),
            Self::NotShared => {
                f.write_str("not shared: not everybody may use it whom the policy names")
            }
            Self::SharedOtherwise => {
                f.write_str("shared otherwise: others may use it than the policy says")
            }
            Self::Unknown {
                of: Some(known), ..
            } => write!(
                f,
                "unknown to us: it is {} {} for {}, and nobody recorded it",
                known.layer, known.version, known.target
            ),
            Self::Unknown { of: None, .. } => {
                f.write_str("unknown to us: it is none of the builds that are known")
            }
            Self::ThrowAway => f.write_str("left over from aligning version numbers"),
        }
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => Ok(()),
            Self::Republished(arn) => write!(f, "published anew as {arn}"),
            Self::Forgotten => f.write_str("taken off the tables"),
            Self::Shared => f.write_str("shared as the policy says"),
            Self::Adopted => f.write_str("recorded, expires like a superseded one"),
            Self::Deleted => f.write_str("deleted"),
            Self::Failed(message) => write!(f, "NOT mended: {message}"),
        }
    }
}
