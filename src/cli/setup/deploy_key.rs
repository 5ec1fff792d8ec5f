//! `layersmith setup deploy-key`: a key that may push to the catalog repository and is good for nothing else.

use super::{Backends, Ended, Failure, Output, is_place};
use crate::github::{DeployKeyEntry, GithubError};
use crate::gitrepo::{DeployKey, public_half};
use crate::model::SecretReference;
use crate::secrets::Replace;
use crate::settings::Settings;
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

/// What GitHub's list of keys shows.
const TITLE: &str = "Layersmith";
const EXAMPLE: &str = "ssm:/layersmith/deploy-key";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the private half is kept: `ssm:/NAME` (a SecureString), `secretsmanager:NAME#KEY` or `file:PATH`;
    /// default: where `LAYERSMITH_DEPLOY_KEY` points
    #[arg(long, value_name = "SECRET")]
    to: Option<SecretReference>,

    /// Make a new key where there is one already
    #[arg(long)]
    replace: bool,
}

/// What was done about the private half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Private {
    Stored,
    Replaced,
    /// It was there.
    Kept,
}

/// Where the public half stands on GitHub.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
enum Public {
    /// It was given to the repository.
    Added,
    /// The repository has it.
    There,
    /// The repository has it, and it may only fetch.
    ReadOnly { page: String },
    /// A person has to give it to the repository.
    ByHand {
        page: Option<String>,
        reason: String,
    },
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let place = options.to.clone().or_else(|| settings.deploy_key.clone());
    let Some(place) = place.filter(is_place) else {
        return Err(Failure::Usage(format!(
            "say where the private half is to be kept: --to {EXAMPLE}, or another `ssm:`, `secretsmanager:` or `file:` reference"
        )));
    };
    let (private, public) = key(backends, &settings, &place, options.replace).await?;
    let on_github = match &public {
        Ok(public) => give(backends, &settings, public).await?,
        Err(reason) => Public::ByHand {
            page: page(&settings, ""),
            reason: reason.clone(),
        },
    };
    let public = public.ok();
    let text = as_text(&settings, &place, private, public.as_deref(), &on_github)?;
    let value = serde_json::json!({
        "private_half": { "reference": place.to_string(), "result": private },
        "public_half": public,
        "github": on_github,
    });
    output.answer(&value, &text)?;
    Ok(match on_github {
        Public::ReadOnly { .. } => Ended::Incomplete,
        _ => Ended::Done,
    })
}

/// The key that is there, or a new one, which is kept before anybody is told of it.
async fn key(
    backends: Backends,
    settings: &Settings,
    place: &SecretReference,
    replace: bool,
) -> Result<(Private, Result<String, String>), Failure> {
    let secrets = (backends.secrets)(settings.clone()).await;
    let present = match secrets.read(place).await {
        Ok(present) => Some(present),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    if let (Some(present), false) = (&present, replace) {
        let public = public_half(present).map_err(|reason| format!("{place}: {reason}"));
        return Ok((Private::Kept, public));
    }
    let comment = match &settings.repository {
        Some(name) => format!("layersmith of {name}"),
        None => "layersmith".to_owned(),
    };
    let made = DeployKey::generate(&comment)?;
    let how = if replace {
        Replace::Allowed
    } else {
        Replace::Never
    };
    secrets.keep(place, &made.private, how).await?;
    let done = if present.is_some() {
        Private::Replaced
    } else {
        Private::Stored
    };
    Ok((done, Ok(made.public)))
}

/// Gives the public half to the repository, where that may be done.
async fn give(backends: Backends, settings: &Settings, public: &str) -> Result<Public, Failure> {
    let by_hand = |reason: String| Public::ByHand {
        page: page(settings, "/new"),
        reason,
    };
    if settings.repository.is_none() {
        return Ok(by_hand("LAYERSMITH_REPOSITORY is not set".to_owned()));
    }
    let mut asking = settings.clone();
    if asking.github_token.is_some() {
        // The bot's App may not administrate the repository; the token of whoever sets it up may.
        asking.github_app_id = None;
    }
    let github = match (backends.github)(asking).await {
        Ok(github) => github,
        Err(error) => return Ok(by_hand(format!("{error:#}"))),
    };
    let has = |keys: &[DeployKeyEntry]| keys.iter().find(|key| key.is(public)).cloned();
    let known = match github.deploy_keys().await {
        Ok(keys) => has(&keys),
        Err(error) if lacks_the_right(&error) => return Ok(by_hand(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    match known {
        Some(key) if key.read_only => Ok(Public::ReadOnly {
            page: page(settings, "").unwrap_or_default(),
        }),
        Some(_) => Ok(Public::There),
        None => match github.add_deploy_key(TITLE, public).await {
            Ok(()) => Ok(Public::Added),
            Err(error) if lacks_the_right(&error) => Ok(by_hand(error.to_string())),
            // Whether a request without an answer was carried out shows in the list.
            Err(error) => match github.deploy_keys().await.map(|keys| has(&keys)) {
                Ok(Some(_)) => Ok(Public::Added),
                _ => Err(error)
                    .context(
                        "the private half is kept; run the command again to add the public one",
                    )
                    .map_err(Failure::Failed),
            },
        },
    }
}

/// What GitHub answers to those who may not administrate the repository.
fn lacks_the_right(error: &GithubError) -> bool {
    matches!(
        error,
        GithubError::Forbidden { .. }
            | GithubError::NotFound { .. }
            | GithubError::Unauthorized { .. }
    )
}

/// The repository's page of deploy keys.
fn page(settings: &Settings, rest: &str) -> Option<String> {
    let name = settings.repository.as_ref()?;
    let site = settings.github_url.trim_end_matches('/');
    Some(format!("{site}/{name}/settings/keys{rest}"))
}

fn as_text(
    settings: &Settings,
    place: &SecretReference,
    private: Private,
    public: Option<&str>,
    on_github: &Public,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let done = match private {
        Private::Stored => "made and stored",
        Private::Replaced => "made and stored, in place of the one before",
        Private::Kept => "there already; --replace makes a new one",
    };
    writeln!(text, "private half  {place}: {done}")?;
    if let Some(public) = public {
        writeln!(text, "public half   {public}")?;
    }
    match on_github {
        Public::Added => writeln!(text, "GitHub        it may push to the repository now")?,
        Public::There => writeln!(text, "GitHub        it may push to the repository already")?,
        Public::ReadOnly { page } => writeln!(
            text,
            "GitHub        it may only fetch: delete it at {page} and run this command again"
        )?,
        Public::ByHand { page, reason } => {
            writeln!(text, "GitHub        not added: {reason}")?;
            let page = page
                .as_deref()
                .unwrap_or("the repository's settings, under Deploy keys");
            writeln!(
                text,
                "\nAdd the public half there, and tick \"Allow write access\": {page}"
            )?;
        }
    }
    if private == Private::Replaced {
        writeln!(
            text,
            "\nThe key before may still push: delete it from the repository's deploy keys."
        )?;
    }
    let is_set = settings
        .deploy_key
        .as_ref()
        .is_some_and(|set| set.to_string() == place.to_string());
    if !is_set {
        writeln!(text, "\nSet LAYERSMITH_DEPLOY_KEY={place}")?;
    }
    Ok(text)
}
