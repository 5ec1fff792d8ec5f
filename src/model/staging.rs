//! The bucket that layers above the limit of a direct upload go through.

use super::{InvalidValue, Region, serde_as_text};
use std::fmt;
use std::str::FromStr;

const ACCOUNT: &str = "{account}";
const REGION: &str = "{region}";
/// As long as the longest name of a region.
const LONGEST_REGION: &str = "ap-southeast-1";

/// A pattern of bucket names, one bucket for each region: `layersmith-{account}-{region}`.
///
/// With the account's 12 digits and a region filled in it is a bucket's name: 3 to 63 lowercase letters, digits and
/// hyphens, a letter or digit at both ends (Amazon S3 user guide, "General purpose bucket naming rules"; dots are left
/// out, because TLS certificates do not cover them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingBucket(String);

impl StagingBucket {
    /// Whether each region has a bucket of its own.
    #[must_use]
    pub fn names_region(&self) -> bool {
        self.0.contains(REGION)
    }

    /// Whether the account has to be known to name a bucket.
    #[must_use]
    pub fn names_account(&self) -> bool {
        self.0.contains(ACCOUNT)
    }

    /// The bucket for a region; `account` has 12 digits.
    #[must_use]
    pub fn bucket(&self, account: &str, region: &Region) -> String {
        self.0
            .replace(ACCOUNT, account)
            .replace(REGION, region.as_str())
    }
}

impl FromStr for StagingBucket {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.replace(ACCOUNT, "").replace(REGION, "");
        if let Some(start) = rest.find(['{', '}']) {
            let end = rest[start..]
                .find('}')
                .map_or(rest.len(), |end| start + end + 1);
            return Err(InvalidValue(format!(
                "`{}` is not a placeholder: there are `{ACCOUNT}` and `{REGION}`",
                &rest[start..end]
            )));
        }
        let longest = text
            .replace(ACCOUNT, "123456789012")
            .replace(REGION, LONGEST_REGION);
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = (3..=63).contains(&longest.len())
            && longest.bytes().all(|byte| is_plain(byte) || byte == b'-')
            && longest.bytes().next().is_some_and(is_plain)
            && longest.bytes().next_back().is_some_and(is_plain);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue(
                "a bucket's name has 3 to 63 lowercase letters, digits and hyphens, and none of the hyphens at an end"
                    .to_owned(),
            ))
        }
    }
}

impl fmt::Display for StagingBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(StagingBucket);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let pattern: StagingBucket = "layersmith-{account}-{region}".parse().unwrap();
        let bucket = pattern.bucket("123456789012", &"eu-west-1".parse().unwrap());
        assert_eq!(bucket, "layersmith-123456789012-eu-west-1");
        assert!(pattern.names_region() && pattern.names_account());
        let plain: StagingBucket = "layers".parse().unwrap();
        assert!(!plain.names_region() && !plain.names_account());
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        for (text, says) in [
            ("a-{partition}", "`{partition}` is not a placeholder"),
            ("a-{region", "`{region` is not a placeholder"),
            ("a}", "`}` is not a placeholder"),
            ("é{", "`{` is not a placeholder"),
            ("", "3 to 63"),
            ("ab", "3 to 63"),
            ("Layers-{region}", "lowercase"),
            ("-{region}", "at an end"),
            ("a.b.c", "lowercase"),
            (
                "a-very-long-name-that-leaves-no-place-{account}-{region}",
                "3 to 63",
            ),
        ] {
            let error = text.parse::<StagingBucket>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
