//! Whom the bot is in AWS: one account for each partition.

use crate::model::{AwsIdentity, InvalidValue};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::str::FromStr;

/// Roles and profiles, each for another partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AwsRoles(Vec<AwsIdentity>);

impl Deref for AwsRoles {
    type Target = [AwsIdentity];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromStr for AwsRoles {
    type Err = InvalidValue;

    /// Separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let identities = text.split(',').map(|part| part.trim().parse());
        let identities = identities.collect::<Result<Vec<AwsIdentity>, _>>()?;
        let mut partitions = BTreeSet::new();
        for identity in &identities {
            if !partitions.insert(&identity.partition) {
                let partition = &identity.partition;
                return Err(InvalidValue(format!(
                    "there are two for the partition {partition}: name one account for each partition"
                )));
            }
        }
        Ok(Self(identities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_one_account() {
        let own = "arn:aws:iam::123456789012:role/layers";
        let roles: AwsRoles = format!("{own}, aws-cn=profile:china").parse().unwrap();
        let partitions: Vec<&str> = roles.iter().map(|it| it.partition.as_str()).collect();
        assert_eq!(partitions, ["aws", "aws-cn"]);
        let second = "arn:aws:iam::210987654321:role/layers";
        let error = format!("{own},{second}").parse::<AwsRoles>().unwrap_err();
        insta::assert_snapshot!(error, @"there are two for the partition aws: name one account for each partition");
        assert!("".parse::<AwsRoles>().is_err());
    }
}
