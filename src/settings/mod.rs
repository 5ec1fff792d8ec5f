//! Settings: the only reader of the environment and of flags.
//!
//! Everything has a default that works on one machine with nothing set: SQLite and a registry directory under
//! `.layersmith/`. Secrets are references or plain values ([`SecretReference`]); the `secrets` room reads them.

mod byte_size;
mod environment;
mod function;
mod listen;
mod places;
mod roles;
mod timeouts;
mod values;

pub use byte_size::ByteSize;
pub use environment::Environment;
pub use listen::ListenSettings;
pub use roles::AwsRoles;
pub use timeouts::Timeouts;
pub use values::{
    ArtifactsSetting, EngineSetting, FunctionSetting, IdentitySetting, LogFormat, RegistrySetting,
    StoreSetting,
};

use crate::model::{Region, RepositoryName, SecretReference};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Every setting, each as a flag and as an environment variable.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Folder for everything that is kept on this machine
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_DATA",
        default_value = ".layersmith",
        value_name = "DIR"
    )]
    pub data: PathBuf,

    /// The catalog repository on GitHub: owner/name
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_REPOSITORY",
        value_name = "OWNER/NAME"
    )]
    pub repository: Option<RepositoryName>,

    /// Id of the GitHub App that the bot acts as
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_APP_ID",
        value_name = "ID"
    )]
    pub github_app_id: Option<u64>,

    /// Private key (PEM) of the GitHub App, or a reference to it
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_PRIVATE_KEY",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub github_private_key: Option<SecretReference>,

    /// Token to use instead of a GitHub App (then a commit status takes the check run's place)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_TOKEN",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub github_token: Option<SecretReference>,

    /// Secret that GitHub signs webhooks with; a second line in it is accepted too, for rotation
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_WEBHOOK_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub webhook_secret: Option<SecretReference>,

    /// Key that what is posted to the policy's webhooks is signed with (HMAC-SHA256)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_NOTIFY_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub notify_secret: Option<SecretReference>,

    /// Private SSH key that may push to the catalog repository
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_DEPLOY_KEY",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub deploy_key: Option<SecretReference>,

    /// Passphrase of the deploy key
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_DEPLOY_KEY_PASSPHRASE",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub deploy_key_passphrase: Option<SecretReference>,

    /// Pinned host keys of the git server, as lines of a `known_hosts` file
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_KNOWN_HOSTS",
        hide_env_values = true,
        value_name = "LINES"
    )]
    pub known_hosts: Option<SecretReference>,

    /// Where the catalog repository is pushed to; default: `ssh://git@github.com/OWNER/NAME.git`
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GIT_URL",
        value_name = "URL"
    )]
    pub git_url: Option<String>,

    /// Author of the bot's commits
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GIT_IDENTITY",
        default_value = "Layersmith <layersmith@users.noreply.github.com>",
        value_name = "IDENTITY"
    )]
    pub git_identity: IdentitySetting,

    /// Where the bot remembers things: sqlite:PATH or dynamodb:TABLE; default: in the data folder
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_STORE",
        value_name = "STORE"
    )]
    pub store: Option<StoreSetting>,

    /// Where layers are published: dir:PATH or aws; default: a directory in the data folder
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_REGISTRY",
        value_name = "REGISTRY"
    )]
    pub registry: Option<RegistrySetting>,

    /// Where built layers are kept: dir:PATH or `s3://BUCKET/PREFIX`; default: in the data folder
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_ARTIFACTS",
        value_name = "ARTIFACTS"
    )]
    pub artifacts: Option<ArtifactsSetting>,

    /// Who carries runs through their steps: local or stepfunctions:ARN
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_ENGINE",
        default_value = "local",
        value_name = "ENGINE"
    )]
    pub engine: EngineSetting,

    /// On AWS Lambda: which function of the deployment this is
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_FUNCTION",
        value_name = "FUNCTION"
    )]
    pub function: Option<FunctionSetting>,

    /// On AWS Lambda: the function that the webhook wakes
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_SWEEP_FUNCTION",
        value_name = "NAME"
    )]
    pub sweep_function: Option<String>,

    /// GitHub's API, for GitHub Enterprise Server
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_API_URL",
        default_value = "https://api.github.com",
        value_name = "URL"
    )]
    pub github_api_url: String,

    /// GitHub's pages, for links in comments
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_URL",
        default_value = "https://github.com",
        value_name = "URL"
    )]
    pub github_url: String,

    /// The uv executable; default: `uv` on PATH
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_UV",
        value_name = "PATH"
    )]
    pub uv: Option<PathBuf>,

    /// Seconds that a resolution answers the same request again; 0 resolves every time
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_LOCK_MAX_AGE",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    pub lock_max_age: u64,

    /// A Python interpreter for uv, any minor version, also tried first for bytecode; default: those on PATH
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_PYTHON",
        value_name = "PATH"
    )]
    pub python: Option<PathBuf>,

    /// The folders, as in PATH, of the Python interpreters that compile bytecode and import layers; default: PATH, pyenv's, uv's and
    /// the system's
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_INTERPRETERS",
        value_name = "FOLDERS"
    )]
    pub interpreters: Option<OsString>,

    /// The bubblewrap executable, which isolates packages while they are imported or built; `function` confines them within the
    /// function that Layersmith runs as; `off` never runs them; default: `bwrap` on PATH
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_BWRAP",
        value_name = "PATH"
    )]
    pub bwrap: Option<PathBuf>,

    /// What the folder of fetched wheels, and of what is derived from them, may hold, such as 500MiB; the same for the folder of built
    /// layers, and an eighth of it for what uv keeps of the package index
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_CACHE_LIMIT",
        default_value = "10GiB",
        value_name = "SIZE"
    )]
    pub cache_limit: ByteSize,

    /// Seconds between two comments or checks that the bot writes (GitHub asks for one)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_WRITE_INTERVAL",
        default_value_t = 1.0,
        value_name = "SECONDS"
    )]
    pub github_write_interval: f64,

    /// Seconds to wait for one answer of GitHub before it is asked again
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GITHUB_TIMEOUT",
        default_value_t = 20,
        value_name = "SECONDS"
    )]
    pub github_timeout: u64,

    /// Another endpoint for all AWS services
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "AWS_ENDPOINT_URL",
        value_name = "URL"
    )]
    pub aws_endpoint_url: Option<String>,

    /// The region that secrets are read from
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "AWS_REGION",
        default_value = "us-east-1",
        value_name = "REGION"
    )]
    pub aws_region: Region,

    /// Roles to assume, and profiles for other partitions, separated by commas, one for each partition:
    /// `arn:aws:iam::ACCOUNT:role/NAME`, `aws-cn=profile:NAME`
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_AWS_ROLES",
        value_name = "ROLES"
    )]
    pub aws_roles: Option<AwsRoles>,

    /// How long AWS Lambda is waited for
    #[command(flatten)]
    pub timeouts: Timeouts,

    /// How logs are written
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,

    /// What is logged, such as `info` or `layersmith=debug`
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_LOG",
        default_value = "warn,layersmith=info",
        value_name = "FILTER"
    )]
    pub log: String,
}
