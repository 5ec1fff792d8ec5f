//! `layersmith setup`: makes what the bot needs before its first run. No secret is ever printed.

mod deploy_key;
mod github_app;
mod overview;

use super::{Backends, Ended, Failure, Output};
use crate::model::SecretReference;
use crate::settings::Settings;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes the key that pushes the tables, keeps its private half and gives its public half to the repository
    DeployKey(deploy_key::Options),
    /// Makes the GitHub App from a manifest and keeps its secrets; a person says yes in a browser
    GithubApp(github_app::Options),
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    match &options.what {
        None => overview::run(output, backends, settings).await,
        Some(What::DeployKey(options)) => {
            deploy_key::run(output, backends, settings, options).await
        }
        Some(What::GithubApp(options)) => {
            github_app::run(output, backends, settings, options).await
        }
    }
}

/// Whether something can be kept at the place a reference names; a secret that is given as it is, and the environment,
/// are none.
fn is_place(reference: &SecretReference) -> bool {
    matches!(
        reference,
        SecretReference::File(_) | SecretReference::Ssm(_) | SecretReference::SecretsManager { .. }
    )
}
