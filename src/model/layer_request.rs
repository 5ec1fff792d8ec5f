//! A layer somebody asked for: one `layers/NAME.yaml`, validated, the policy's defaults filled in.

use super::{Digest, Hasher, InvalidValue, LayerName, Location, Policy, Region, SlimKind, Target};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One requirement of a layer (PEP 508), with the place it was written at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The requirement in normal form, as given to the resolver: `pyarrow>=15`.
    pub text: String,
    /// The package's normalised name (PEP 503): `pyarrow`.
    pub name: String,
    /// Where it stands in the request file.
    pub location: Location,
}

/// Which modules a layer carries bytecode for (PEP 552, unchecked hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytecode {
    /// All of them.
    #[default]
    All,
    /// Those that importing the packages loads.
    Imported,
    /// None.
    None,
}

/// How often something is done without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all.
    Never,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
    /// Once a month.
    Monthly,
}

impl FromStr for Schedule {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            "daily" => Ok(Self::Daily),
            "weekly" => Ok(Self::Weekly),
            "monthly" => Ok(Self::Monthly),
            _ => Err(InvalidValue(format!(
                "`{text}` is not a schedule: use never, daily, weekly or monthly"
            ))),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        })
    }
}

/// A validated request for a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRequest {
    /// The file's stem.
    pub name: LayerName,
    /// The file's path in the catalog repository.
    pub path: String,
    /// What goes in, resolved together; never empty. The first one gives the layer its version.
    pub packages: Vec<Requirement>,
    /// What it is built for; sorted, never empty.
    pub targets: Vec<Target>,
    /// Regions it asks for by name; `None` leaves it to the policy.
    pub regions: Option<Vec<Region>>,
    /// What people read about it.
    pub description: Option<String>,
    /// The licence to state; `None` takes it from the packages.
    pub license: Option<String>,
    /// Glob patterns of files left out, relative to the layer's `python/`.
    pub exclude: Vec<String>,
    /// Kinds of files left out wherever that is safe; sorted.
    pub slim: Vec<SlimKind>,
    /// Whether packages that the Lambda runtime brings are left out, unless they are asked for by name.
    pub exclude_runtime: bool,
    /// Which bytecode is shipped.
    pub bytecode: Bytecode,
    /// Packages (normalised names) whose source distributions may be built.
    pub allow_build: Vec<String>,
    /// Version prefixes that never expire.
    pub keep: Vec<String>,
    /// GitHub logins told when a scheduled rebuild fails.
    pub owners: Vec<String>,
}

/// Raised whenever the builder would give other bytes for the same lock.
pub const BUILDER_REVISION: u32 = 4;

impl LayerRequest {
    /// Whether a version of the layer never expires: `keep` has a prefix of it, part by part, so that `2.2` is one of
    /// `2.2` and `2.2.3` and not of `2.20`.
    #[must_use]
    pub fn keeps(&self, version: &str) -> bool {
        let parts: Vec<&str> = version.split('.').collect();
        self.keep.iter().any(|prefix| {
            let prefix: Vec<&str> = prefix.split('.').collect();
            parts.starts_with(&prefix)
        })
    }

    /// Identifies everything that decides what is built for a target, so that an unchanged request is not built again.
    ///
    /// Regions, visibility, description and licence are not part of it: they change what is done with the zip.
    #[must_use]
    pub fn fingerprint(&self, target: Target, policy: &Policy) -> Digest {
        let mut hasher = Hasher::default();
        let mut field = |name: &str, value: &str| {
            hasher.update(format!("{name}:{}:{value}\n", value.len()).as_bytes());
        };
        field("builder", &BUILDER_REVISION.to_string());
        field("target", &target.to_string());
        field("index", policy.index_url.as_deref().unwrap_or_default());
        field("bytecode", &format!("{:?}", self.bytecode));
        field("exclude_runtime", &self.exclude_runtime.to_string());
        self.slim
            .iter()
            .for_each(|kind| field("slim", kind.as_str()));
        self.packages
            .iter()
            .for_each(|package| field("package", &package.text));
        self.exclude
            .iter()
            .for_each(|pattern| field("exclude", pattern));
        self.allow_build
            .iter()
            .for_each(|name| field("allow_build", name));
        if policy.staging.is_some() {
            // The limit of a direct upload decides how much bytecode there is, where there is such a limit.
            field("limit", "unzipped");
        }
        hasher.finish()
    }

    /// Where the requirement for a package stands, else the first one.
    #[must_use]
    pub fn location_of(&self, package: &str) -> Location {
        self.packages
            .iter()
            .find(|requirement| requirement.name == package)
            .or(self.packages.first())
            .map_or(Location::START, |requirement| requirement.location)
    }
}
