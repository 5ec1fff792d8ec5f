//! `layersmith setup` alone: what is there, what is missing, and what to type next.

use super::{Backends, Ended, Failure, Output};
use crate::cli::FindingState;
use crate::settings::Settings;
use serde::Serialize;
use std::fmt::Write as _;

/// One thing that the bot needs.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    state: FindingState,
    detail: String,
    /// What to type or to set, where something is to be done.
    next: Option<String>,
}

impl Row {
    fn good(what: &'static str, detail: String) -> Self {
        Self {
            what,
            state: FindingState::Good,
            detail,
            next: None,
        }
    }

    fn missing(what: &'static str, detail: &str, next: &str) -> Self {
        Self {
            what,
            state: FindingState::NotSet,
            detail: detail.to_owned(),
            next: Some(next.to_owned()),
        }
    }

    fn bad(what: &'static str, error: &anyhow::Error, next: &str) -> Self {
        Self {
            what,
            state: FindingState::Bad,
            detail: format!("{error:#}"),
            next: Some(next.to_owned()),
        }
    }
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
) -> Result<Ended, Failure> {
    let rows = [
        repository(&settings),
        github(backends, &settings).await,
        webhook_secret(backends, &settings).await,
        deploy_key(backends, &settings).await,
    ];
    let width = rows.iter().map(|row| row.what.len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for row in &rows {
        let state = row.state.word();
        writeln!(text, "{state}  {:width$}  {}", row.what, row.detail)?;
        if let Some(next) = &row.next {
            writeln!(text, "         {:width$}  → {next}", "")?;
        }
    }
    let missing = rows.iter().any(|row| row.next.is_some());
    if !missing {
        writeln!(
            text,
            "\nEverything is there. `layersmith doctor` tries out the rest."
        )?;
    }
    output.answer(&serde_json::json!({ "setup": rows }), &text)?;
    Ok(if missing {
        Ended::Incomplete
    } else {
        Ended::Done
    })
}

fn repository(settings: &Settings) -> Row {
    match &settings.repository {
        Some(name) => Row::good("repository", name.to_string()),
        None => Row::missing(
            "repository",
            "the catalog repository is not named",
            "set LAYERSMITH_REPOSITORY=OWNER/NAME",
        ),
    }
}

async fn github(backends: Backends, settings: &Settings) -> Row {
    const WHAT: &str = "GitHub";
    if settings.github_app_id.is_none() && settings.github_token.is_none() {
        return Row::missing(
            WHAT,
            "GitHub does not know the bot",
            "layersmith setup github-app --url https://HOST",
        );
    }
    if settings.repository.is_none() {
        return Row::missing(
            WHAT,
            "set, and not tried: the repository is not named",
            "set LAYERSMITH_REPOSITORY=OWNER/NAME",
        );
    }
    let who = async {
        let client = (backends.github)(settings.clone()).await?;
        let login = client.identity().await?.login.clone();
        client.repository().await?;
        anyhow::Ok(login)
    };
    match who.await {
        Ok(login) => Row::good(WHAT, format!("as {login}")),
        Err(error) => Row::bad(
            WHAT,
            &error,
            "install the App on the repository, or mend what is said above",
        ),
    }
}

async fn webhook_secret(backends: Backends, settings: &Settings) -> Row {
    const WHAT: &str = "webhook secret";
    let next = if settings.github_app_id.is_some() || settings.github_token.is_some() {
        "set LAYERSMITH_WEBHOOK_SECRET to the secret of the webhook, or to where it is kept"
    } else {
        "layersmith setup github-app --url https://HOST"
    };
    match (backends.webhook_secrets)(settings.clone()).await {
        Ok(secrets) if secrets.is_empty() => Row::missing(WHAT, "there is none", next),
        Ok(secrets) => Row::good(WHAT, format!("{} set", secrets.len())),
        Err(error) => Row::bad(WHAT, &error, next),
    }
}

async fn deploy_key(backends: Backends, settings: &Settings) -> Row {
    const WHAT: &str = "deploy key";
    if settings.deploy_key.is_none() {
        return Row::missing(
            WHAT,
            "there is none",
            "layersmith setup deploy-key --to ssm:/layersmith/deploy-key",
        );
    }
    let may_push = async {
        let catalog = (backends.catalog)(settings.clone()).await?;
        catalog.may_push().await?;
        anyhow::Ok(())
    };
    match may_push.await {
        Ok(()) => Row::good(WHAT, "it may push".to_owned()),
        Err(error) => Row::bad(WHAT, &error, "layersmith setup deploy-key"),
    }
}
