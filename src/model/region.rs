//! AWS regions.

use super::{InvalidValue, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// The commercial regions that offer AWS Lambda, 2026-11 (AWS General Reference, "AWS Lambda endpoints").
pub const COMMERCIAL_REGIONS: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Regions of the other partitions.
const OTHER_REGIONS: [&str; 4] = [
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-east-1",
    "us-gov-west-1",
];

/// Commercial regions that an account has only when it enables them: those launched after 2019-03-20 (AWS Account
/// Management reference guide, "Enable or disable AWS Regions in your account").
const OPT_IN_REGIONS: [&str; 17] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// An AWS region that is known to offer AWS Lambda, such as `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl Region {
    /// The region as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every commercial region, sorted.
    #[must_use]
    pub fn commercial() -> Vec<Self> {
        COMMERCIAL_REGIONS
            .iter()
            .map(|name| Self((*name).to_owned()))
            .collect()
    }

    /// Every region of a partition, sorted; none of a partition that is not known.
    #[must_use]
    pub fn of_partition(partition: &str) -> Vec<Self> {
        let names = Self::known_names().map(|name| Self(name.to_owned()));
        names
            .filter(|region| region.partition() == partition)
            .collect()
    }

    /// Every region name that is accepted, commercial ones first.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        COMMERCIAL_REGIONS.into_iter().chain(OTHER_REGIONS)
    }

    /// Whether an account has the region only when it enables it.
    #[must_use]
    pub fn is_opt_in(&self) -> bool {
        OPT_IN_REGIONS.contains(&self.as_str())
    }

    /// The partition of the region's ARNs: `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        if self.0.starts_with("cn-") {
            "aws-cn"
        } else if self.0.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

impl FromStr for Region {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Self::known_names().any(|name| name == text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue(format!(
                "`{text}` is not a region of AWS Lambda"
            )))
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Region);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions() {
        let partition = |name: &str| name.parse::<Region>().unwrap().partition();
        assert_eq!(partition("us-east-1"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        let known: Vec<String> = Region::known_names().map(str::to_owned).collect();
        let mut of_partitions: Vec<String> = Vec::new();
        for name in ["aws", "aws-cn", "aws-us-gov", "aws-mars"] {
            let regions = Region::of_partition(name);
            assert!(regions.is_sorted());
            of_partitions.extend(regions.iter().map(Region::to_string));
        }
        assert_eq!(of_partitions, known);
        assert!(
            OPT_IN_REGIONS
                .iter()
                .all(|name| known.iter().any(|it| it == name))
        );
        assert!("us-est-1".parse::<Region>().is_err());
    }
}
