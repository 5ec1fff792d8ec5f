//! The platform team's policy: `.github/layersmith.yaml` of the catalog repository.

use super::{
    Architecture, Destination, InvalidValue, LayerPrefix, OfferedRegions, ParameterPath,
    PythonVersion, Region, Schedule, StagingBucket,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who may use a published layer version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Every AWS account.
    Public,
    /// The publishing account only.
    Private,
    /// Every account of an AWS organization, such as `o-abc1234567`.
    Organization(String),
    /// These accounts, 12 digits each.
    Accounts(Vec<String>),
}

/// A format of the generated tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFormat {
    /// Markdown, for people.
    Md,
    /// Comma-separated values with CRLF line ends.
    Csv,
    /// JSON in the shape of Klayers' API v2.
    Json,
    /// Feeds to subscribe to, each as Atom (RFC 4287) and as JSON Feed 1.1.
    Feed,
}

impl TableFormat {
    /// Whether each target and region has a table in this format.
    #[must_use]
    pub fn is_by_region(self) -> bool {
        !matches!(self, Self::Feed)
    }
}

impl FromStr for TableFormat {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "md" => Ok(Self::Md),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "feed" => Ok(Self::Feed),
            _ => Err(InvalidValue(format!(
                "`{text}` is not a table format: use md, csv, json or feed"
            ))),
        }
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md => "md",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Feed => "feed",
        })
    }
}

/// Where the generated tables go and what they look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSettings {
    /// Folder in the catalog repository, without a slash at either end.
    pub path: String,
    /// Formats written, in order.
    pub formats: Vec<TableFormat>,
}

/// Bounds on what one layer and one pull request may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requirements in one request file.
    pub packages_per_layer: usize,
    /// Request files changed by one pull request.
    pub layers_per_pull_request: usize,
    /// Seconds that resolving and building one layer for one target may take.
    pub build_seconds: u64,
}

/// Whose pull requests are planned without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanFrom {
    /// Everybody's.
    Everyone,
    /// Those of people with write permission; others wait for `/layersmith ok`.
    Collaborators,
}

/// The policy, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// First part of every published layer's name.
    pub prefix: LayerPrefix,
    /// Python versions a layer is built for unless it says otherwise.
    pub python: Vec<PythonVersion>,
    /// Architectures a layer is built for unless it says otherwise.
    pub architectures: Vec<Architecture>,
    /// Regions a layer is published to unless it says otherwise; `None` is every one the account has.
    pub regions: Option<Vec<Region>>,
    /// Regions never published to.
    pub exclude_regions: Vec<Region>,
    /// Who may use what is published.
    pub visibility: Visibility,
    /// A superseded version is deleted this many days later.
    pub expire_after_days: u32,
    /// Releases younger than this many days are not considered.
    pub cooldown_days: u32,
    /// The package index; `None` is uv's own default.
    pub index_url: Option<String>,
    /// How often new releases are looked for.
    pub upgrade: Schedule,
    /// Whether regions that are behind are brought to the version number that the others have.
    #[serde(default)]
    pub align_versions: bool,
    /// The generated tables.
    pub tables: TableSettings,
    /// The buckets that layers above the limit of a direct upload go through; without it there are none such.
    #[serde(default)]
    pub staging: Option<StagingBucket>,
    /// Bounds.
    pub limits: Limits,
    /// Who is told of what is published and retired.
    #[serde(default)]
    pub notify: Vec<Destination>,
    /// Where the latest ARNs are kept in Parameter Store; `None` keeps none there.
    #[serde(default)]
    pub parameters: Option<ParameterPath>,
    /// Whose pull requests are planned without being asked.
    pub plan_pull_requests_from: PlanFrom,
}

impl Policy {
    /// Where the policy lives in the catalog repository.
    pub const PATH: &str = ".github/layersmith.yaml";

    /// Which of the regions on offer a layer goes to: those it (or else the policy) names, less the excluded ones; and
    /// beside them those that it would go to, had the account enabled them.
    #[must_use]
    pub fn regions_for(
        &self,
        wanted: Option<&[Region]>,
        offered: &OfferedRegions,
    ) -> (Vec<Region>, Vec<Region>) {
        let mut regions: Vec<Region> = match wanted.or(self.regions.as_deref()) {
            Some(named) => named.to_vec(),
            None => [offered.enabled.as_slice(), &offered.not_enabled].concat(),
        };
        regions.retain(|region| !self.exclude_regions.contains(region));
        regions.sort();
        regions.dedup();
        regions
            .into_iter()
            .partition(|region| !offered.not_enabled.contains(region))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            prefix: LayerPrefix::default(),
            python: PythonVersion::ALL[2..].to_vec(),
            architectures: Architecture::ALL.to_vec(),
            regions: None,
            exclude_regions: Vec::new(),
            visibility: Visibility::Public,
            expire_after_days: 365,
            cooldown_days: 0,
            index_url: None,
            upgrade: Schedule::Monthly,
            align_versions: false,
            tables: TableSettings {
                path: "layers/arns".to_owned(),
                formats: vec![
                    TableFormat::Md,
                    TableFormat::Csv,
                    TableFormat::Json,
                    TableFormat::Feed,
                ],
            },
            staging: None,
            limits: Limits {
                packages_per_layer: 30,
                layers_per_pull_request: 50,
                build_seconds: 600,
            },
            notify: Vec::new(),
            parameters: None,
            plan_pull_requests_from: PlanFrom::Everyone,
        }
    }
}
