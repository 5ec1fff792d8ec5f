//! Whom the bot is in AWS, for one partition.

use super::InvalidValue;
use std::fmt;
use std::str::FromStr;

/// The partitions that have regions here.
const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

/// Where the credentials of a partition come from, when not from where the SDK looks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsIdentity {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Where from.
    pub source: AwsIdentitySource,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsIdentitySource {
    /// The ARN of a role that is assumed.
    Role(String),
    /// A profile of the SDK's configuration files.
    Profile(String),
}

impl FromStr for AwsIdentity {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || {
            InvalidValue(format!(
                "`{text}` is neither a role (`arn:aws:iam::123456789012:role/NAME`) nor a profile for a partition (`aws-cn=profile:NAME`)"
            ))
        };
        let known = |partition: &str| PARTITIONS.contains(&partition);
        if let Some((partition, profile)) = text.split_once("=profile:") {
            return if known(partition) && !profile.is_empty() {
                Ok(Self {
                    partition: partition.to_owned(),
                    source: AwsIdentitySource::Profile(profile.to_owned()),
                })
            } else {
                Err(invalid())
            };
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, role] = parts[..] else {
            return Err(invalid());
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_role = role
            .strip_prefix("role/")
            .is_some_and(|name| !name.is_empty());
        if known(partition) && is_account && is_role {
            Ok(Self {
                partition: partition.to_owned(),
                source: AwsIdentitySource::Role(text.to_owned()),
            })
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for AwsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            AwsIdentitySource::Role(arn) => f.write_str(arn),
            AwsIdentitySource::Profile(name) => write!(f, "{}=profile:{name}", self.partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_profiles_are_read() {
        for (text, partition) in [
            (
                "arn:aws-cn:iam::123456789012:role/path/layersmith",
                "aws-cn",
            ),
            ("aws-us-gov=profile:gov", "aws-us-gov"),
        ] {
            let identity: AwsIdentity = text.parse().unwrap();
            assert_eq!(identity.partition, partition);
            assert_eq!(identity.to_string(), text);
        }
        for bad in [
            "",
            "arn:aws:iam::12:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
            "arn:mars:iam::123456789012:role/x",
            "mars=profile:x",
            "aws-cn=profile:",
        ] {
            assert!(bad.parse::<AwsIdentity>().is_err(), "{bad}");
        }
    }
}
