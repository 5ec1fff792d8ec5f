//! The command line: one file per command; text for people, or `--json`.
//!
//! Exit codes: 0 done (or nothing to do), 1 failed, 2 bad usage or bad input. Progress bars on a terminal, plain lines
//! otherwise. Deliberately absent: which backends there are; [`Backends`] is handed in.

mod apply;
mod build;
mod catalog;
mod check;
mod confine;
mod doctor;
mod expire;
mod output;
mod plan;
mod redeliver;
mod replay;
mod serve;
mod setup;
mod span;
mod status;
mod store;
mod tables;
mod verify;

use crate::github::GithubClient;
use crate::github::render::{count, parameters_as_text};
use crate::gitrepo::CatalogRepository;
use crate::model::{Policy, Region, RepositoryName};
use crate::pipeline::{Bot, StepFailure, Workshop, deliver_notifications};
use crate::plan::ParametersOutcome;
use crate::secrets::SecretSource;
use crate::settings::{Settings, StoreSetting};
use crate::store::Store;
use crate::telemetry::NumbersTo;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use futures::future::BoxFuture;
pub use output::{Output, start_logging};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use url::Url;

/// The bot together with what its server needs.
pub struct Served {
    /// The bot.
    pub bot: Bot,
    /// The repository it serves.
    pub repository: RepositoryName,
    /// Secrets that webhooks may be signed with; never empty.
    pub webhook_secrets: Vec<SecretString>,
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    /// What was looked at: `uv`, `store`, `deploy key`.
    pub what: String,
    /// How it is.
    pub state: FindingState,
    /// What was seen, and what to do about it.
    pub detail: String,
}

/// How a thing that `doctor` looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It works.
    Good,
    /// Nothing needs it as things are set.
    NotSet,
    /// It does not work.
    Bad,
}

impl FindingState {
    /// The word for it in a column of them.
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good   ",
            Self::NotSet => "not set",
            Self::Bad => "BAD    ",
        }
    }
}

/// What `doctor --aws` is asked beyond the settings.
#[derive(Debug, Clone, Default)]
pub struct AccountQuestions {
    /// The policy, whose regions are compared with those of the account.
    pub policy: Option<Policy>,
    /// Where GitHub reaches the bot.
    pub url: Option<Url>,
    /// The stack whose functions are looked at.
    pub stack: Option<String>,
    /// Whether a layer may be published and deleted.
    pub publish_probe: bool,
}

type Connect<T> = fn(Settings) -> BoxFuture<'static, T>;

/// Makes the parts a command asks for out of the settings; only a command that needs a part pays for it.
#[derive(Clone, Copy)]
pub struct Backends {
    /// Builds, publishes and remembers.
    pub workshop: Connect<anyhow::Result<Workshop>>,
    /// A store, whichever the settings name besides.
    pub store: fn(Settings, StoreSetting) -> BoxFuture<'static, Arc<dyn Store>>,
    /// The catalog repository, for pushing the tables.
    pub catalog: Connect<anyhow::Result<CatalogRepository>>,
    /// The bot.
    pub served: Connect<anyhow::Result<Served>>,
    /// Secrets that webhooks are signed with.
    pub webhook_secrets: Connect<anyhow::Result<Vec<SecretString>>>,
    /// Looks at everything the settings name.
    pub examine: Connect<Vec<Finding>>,
    /// Looks at the AWS account.
    pub examine_account: fn(Settings, AccountQuestions) -> BoxFuture<'static, Vec<Finding>>,
    /// GitHub's API.
    pub github: Connect<anyhow::Result<GithubClient>>,
    /// Reads secrets and keeps new ones.
    pub secrets: Connect<SecretSource>,
}

/// A GitOps bot that builds AWS Lambda layers from pull requests and publishes them to every region.
#[derive(Debug, Parser)]
#[command(
    name = "layersmith",
    version,
    about,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Answer with JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    settings: Settings,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what is wrong with request files, with line, column and what to write instead
    Check(check::Options),
    /// Shows what `apply` would do; publishes nothing
    Plan(plan::Options),
    /// Builds one layer and writes its zip
    Build(build::Options),
    /// Builds, publishes and writes the tables
    Apply(catalog::CatalogOptions),
    /// Applies with new releases of every layer
    Upgrade(catalog::CatalogOptions),
    /// Deletes superseded versions whose time is over and writes the tables
    Expire(catalog::CatalogOptions),
    /// Reads back what is recorded as published and says what is wrong
    Verify(verify::Options),
    /// Shows how far a run is and what its steps came to, or the last runs
    Status(status::Options),
    /// Answers webhooks and the read API, and works on pull requests
    Serve(serve::Options),
    /// Writes the tables from what is recorded as live
    Tables(catalog::CatalogOptions),
    /// Copies everything from one store into another
    #[command(subcommand)]
    Store(store::Command),
    /// Looks at every setting and says what works and what does not
    Doctor(doctor::Options),
    /// Signs a recorded webhook payload and sends it to a running server
    Replay(replay::Options),
    /// Confines itself and becomes a program
    #[command(hide = true)]
    Confine(confine::Options),
    /// Has GitHub send webhooks again that did not arrive
    Redeliver(redeliver::Options),
    /// Makes the deploy key and the GitHub App, or says what is missing
    Setup(setup::Options),
}

/// Why a command did not do what it was asked for.
enum Failure {
    /// What was typed, or a file that was named, is wrong: exit code 2.
    Usage(String),
    /// It was tried: exit code 1.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How a command that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Done, or nothing to do.
    Done,
    /// Tried, and part of it failed; the command has said what.
    Incomplete,
    /// The input is wrong; the command has said what.
    BadInput,
}

/// Sends the messages that wait, after everything is said: a receiver that does not answer keeps nobody from reading it.
async fn deliver(workshop: &Workshop) {
    if let Err(failure) = deliver_notifications(workshop).await {
        tracing::warn!("messages wait for the next run: {failure}");
    }
}

/// What came of telling others, as lines of text.
fn told_as_text(told: &Result<ParametersOutcome, StepFailure>) -> String {
    match told {
        Ok(parameters) => parameters_as_text(parameters),
        Err(failure) => format!("FAILED: parameters and notifications: {failure}\n"),
    }
}

/// The value name of every setting that is a secret or says where one is.
const SECRET: &str = "<SECRET>";

/// The same error, not repeating the value of a setting that may be a secret.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let about_secret = error
        .get(ContextKind::InvalidArg)
        .is_some_and(|argument| argument.to_string().contains(SECRET));
    if about_secret {
        error.insert(
            ContextKind::InvalidValue,
            ContextValue::String("***".to_owned()),
        );
    }
    error
}

/// A line about regions that the account has not enabled, with its end; empty when there are none.
fn not_enabled(regions: &BTreeSet<Region>) -> String {
    if regions.is_empty() {
        return String::new();
    }
    let number = count(regions.len(), "region");
    let names: Vec<&str> = regions.iter().map(Region::as_str).collect();
    format!(
        "{number} not enabled in the account, left out: {}\n",
        names.join(", ")
    )
}

/// Reads the command line and carries out the command.
pub async fn run(backends: Backends) -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| without_secrets(error).exit());
    let counters = start_logging(&cli.settings, NumbersTo::Counters).unwrap_or_else(|error| {
        let mut command = Cli::command();
        command
            .error(
                clap::error::ErrorKind::InvalidValue,
                format!("--log: {error}"),
            )
            .exit()
    });
    let output = Output::new(cli.json);
    let settings = cli.settings;
    let ended = match cli.command {
        Command::Check(options) => check::run(&output, &options),
        Command::Plan(options) => plan::run(&output, backends, settings, &options).await,
        Command::Build(options) => build::run(&output, backends, settings, &options).await,
        Command::Apply(options) => {
            apply::run(
                &output,
                backends,
                settings,
                &options,
                plan::Look::ForMissing,
            )
            .await
        }
        Command::Upgrade(options) => {
            apply::run(&output, backends, settings, &options, plan::Look::ToUpgrade).await
        }
        Command::Expire(options) => expire::run(&output, backends, settings, &options).await,
        Command::Verify(options) => verify::run(&output, backends, settings, &options).await,
        Command::Status(options) => status::run(&output, backends, settings, &options).await,
        Command::Serve(options) => {
            serve::run(&output, backends, settings, &options, counters).await
        }
        Command::Tables(options) => tables::run(&output, backends, settings, &options).await,
        Command::Store(command) => store::run(&output, backends, settings, &command).await,
        Command::Doctor(options) => doctor::run(&output, backends, settings, &options).await,
        Command::Replay(options) => replay::run(&output, backends, settings, &options).await,
        Command::Confine(options) => confine::run(&output, &options),
        Command::Redeliver(options) => redeliver::run(&output, backends, settings, &options).await,
        Command::Setup(options) => setup::run(&output, backends, settings, &options).await,
    };
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Incomplete) => ExitCode::FAILURE,
        Ok(Ended::BadInput) => ExitCode::from(2),
        Err(Failure::Usage(message)) => {
            output.error(&message);
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            output.error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
