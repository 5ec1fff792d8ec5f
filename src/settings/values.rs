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
    /// A directory.
    Directory(PathBuf),
    /// A bucket of Amazon S3.
    S3 {
        /// Its name.
        bucket: String,
        /// What the keys of everything begin with, without a `/` at the end; empty for the whole bucket.
        prefix: String,
    },
}

impl FromStr for ArtifactsSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || {
            InvalidValue(format!(
                "`{text}` is not a place for artifacts: write `dir:PATH` or `s3://BUCKET/PREFIX`"
            ))
        };
        if let Some(place) = text.strip_prefix("s3://") {
            return match place.split_once('/') {
                Some((bucket, prefix)) if !bucket.is_empty() => Ok(Self::S3 {
                    bucket: bucket.to_owned(),
                    prefix: prefix.trim_matches('/').to_owned(),
                }),
                _ => Err(invalid()),
            };
        }
        match text.split_once(':') {
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err(invalid()),
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
