//! Values of settings that are more than a text, each with its own `FromStr`.

use crate::model::InvalidValue;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the bot remembers things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSetting {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A table of Amazon DynamoDB, by its name.
    DynamoDb(String),
}

/// Whether DynamoDB accepts the name of a table (Amazon DynamoDB developer guide, "Naming rules").
fn is_table_name(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (3..=255).contains(&text.len()) && text.chars().all(valid)
}

impl FromStr for StoreSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("dynamodb", table)) if is_table_name(table) => {
                Ok(Self::DynamoDb(table.to_owned()))
            }
            _ => Err(InvalidValue(format!(
                "`{text}` is not a store: write `sqlite:PATH` or `dynamodb:TABLE`"
            ))),
        }
    }
}

impl fmt::Display for StoreSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::DynamoDb(table) => write!(f, "dynamodb:{table}"),
        }
    }
}

/// Where layers are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrySetting {
    /// A directory that behaves as AWS Lambda does.
    Directory(PathBuf),
    /// AWS Lambda.
    Aws,
}

impl FromStr for RegistrySetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            None if text == "aws" => Ok(Self::Aws),
            _ => Err(InvalidValue(format!(
                "`{text}` is not a registry: write `dir:PATH` or `aws`"
            ))),
        }
    }
}

impl fmt::Display for RegistrySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Aws => f.write_str("aws"),
        }
    }
}

/// Where built zips are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactsSetting {
    /// In a folder.
    Directory(PathBuf),
    /// In a bucket of Amazon S3.
    S3 {
        /// Its name.
        bucket: String,
        /// The folder in it, without a slash at either end; may be empty.
        prefix: String,
    },
}

impl ArtifactsSetting {
    /// Reads `BUCKET/PREFIX`. Names: Amazon S3 user guide, "General purpose bucket naming rules"; keys: the same,
    /// "Object key naming guidelines", the safe characters.
    fn s3(place: &str) -> Option<Self> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.starts_with(is_plain)
            && bucket.ends_with(is_plain)
            && bucket
                .chars()
                .all(|c| is_plain(c) || matches!(c, '-' | '.'));
        let is_safe =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '!' | '-' | '_' | '.' | '(' | ')');
        let is_folder = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_safe);
        let is_prefix =
            prefix.is_empty() || (prefix.len() <= 512 && prefix.split('/').all(is_folder));
        (is_bucket && is_prefix).then(|| Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl FromStr for ArtifactsSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("dir", path)) if !path.is_empty() => Some(Self::Directory(path.into())),
            Some(("s3", place)) => place.strip_prefix("//").and_then(Self::s3),
            _ => None,
        }
        .ok_or_else(|| {
            InvalidValue(format!(
                "`{text}` is not a place for artifacts: write `dir:PATH` or `s3://BUCKET/PREFIX`"
            ))
        })
    }
}

impl fmt::Display for ArtifactsSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Who carries runs through their steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineSetting {
    /// This process.
    Local,
    /// Two state machines of AWS Step Functions: their ARN without `-plan` and `-apply` at the end.
    StepFunctions(String),
}

impl FromStr for EngineSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "local" => Ok(Self::Local),
            Some(("stepfunctions", arn))
                if arn.starts_with("arn:")
                    && arn.contains(":states:")
                    && arn.contains(":stateMachine:") =>
            {
                Ok(Self::StepFunctions(arn.to_owned()))
            }
            _ => Err(InvalidValue(format!(
                "`{text}` is not an engine: write `local` or `stepfunctions:arn:aws:states:REGION:ACCOUNT:stateMachine:NAME`, where NAME-plan and NAME-apply are the state machines"
            ))),
        }
    }
}

impl fmt::Display for EngineSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::StepFunctions(arn) => write!(f, "stepfunctions:{arn}"),
        }
    }
}

/// Which function of the deployment on AWS this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FunctionSetting {
    /// Takes deliveries in.
    Webhook,
    /// Answers the read API and the pages.
    Api,
    /// Reads GitHub and the store, and decides.
    Plan,
    /// Builds for one target.
    Build,
    /// Publishes layer versions.
    Publish,
    /// Commits the tables.
    Tables,
    /// Answers on GitHub.
    Comment,
    /// Handles events, starts runs, delivers messages.
    Sweep,
    /// Deletes layer versions.
    Expire,
}

/// Who the bot's commits are by: `Layersmith <layersmith@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySetting {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

impl FromStr for IdentitySetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_suffix('>').and_then(|rest| rest.split_once('<'));
        match parts.map(|(name, email)| (name.trim(), email.trim())) {
            Some((name, email))
                if !name.is_empty() && email.contains('@') && !text.contains(['\n', '\r']) =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    email: email.to_owned(),
                })
            }
            _ => Err(InvalidValue(format!(
                "`{text}` is not an identity: write `Name <address@example.com>`"
            ))),
        }
    }
}

impl fmt::Display for IdentitySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_for_artifacts_is_a_folder_or_part_of_a_bucket() {
        for text in ["dir:/var/zips", "s3://my-bucket", "s3://my.bucket/a/b-1"] {
            let place: ArtifactsSetting = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
        let slash: ArtifactsSetting = "s3://bucket/a/".parse().unwrap();
        assert_eq!(slash.to_string(), "s3://bucket/a");
        for text in [
            "dir:",
            "/var/zips",
            "s3:bucket",
            "s3://",
            "s3://ab",
            "s3://Bucket/a",
            "s3://bucket-/a",
            "s3://bucket//a",
            "s3://bucket/../a",
            "s3://bucket/a b",
        ] {
            assert!(text.parse::<ArtifactsSetting>().is_err(), "{text}");
        }
    }
}
