//! Looks at everything the settings name, for `layersmith doctor`.

use super::{catalog, github, registry, resolver, stores, webhook_secrets};
use crate::cli::{Finding, FindingState};
use crate::model::Region;
use crate::settings::Settings;
use std::collections::BTreeSet;

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![
        finding(
            "uv",
            resolver(settings)
                .uv_version()
                .await
                .map(|version| match settings.lock_max_age {
                    0 => format!("{version}, asked every time"),
                    seconds => format!("{version}, its answers are used for {seconds} seconds"),
                })
                .map_err(|error| error.for_people()),
        ),
        finding(
            "store",
            stores::examine(settings)
                .await
                .map_err(|error| format!("{error:#}")),
        ),
        finding(
            "registry",
            registry_detail(settings)
                .await
                .map_err(|error| format!("{error:#}")),
        ),
    ];
    if settings.repository.is_none() {
        let detail =
            "LAYERSMITH_REPOSITORY is not set: `serve` answers the read API only".to_owned();
        findings.push(Finding {
            what: "repository".to_owned(),
            state: FindingState::NotSet,
            detail,
        });
        return findings;
    }
    findings.push(finding(
        "GitHub",
        github_detail(settings)
            .await
            .map_err(|error| format!("{error:#}")),
    ));
    let secrets = match webhook_secrets(settings).await {
        Ok(secrets) if secrets.is_empty() => {
            Err("webhooks without a secret are anybody's: set LAYERSMITH_WEBHOOK_SECRET".to_owned())
        }
        Ok(secrets) => Ok(format!("{} set", secrets.len())),
        Err(error) => Err(format!("{error:#}")),
    };
    findings.push(finding("webhook secret", secrets));
    findings.push(finding(
        "git over SSH",
        git_detail(settings)
            .await
            .map_err(|error| format!("{error:#}")),
    ));
    findings
}

pub(super) fn finding(what: &str, result: Result<String, String>) -> Finding {
    let (state, detail) = match result {
        Ok(detail) => (FindingState::Good, detail),
        Err(detail) => (FindingState::Bad, detail),
    };
    Finding {
        what: what.to_owned(),
        state,
        detail,
    }
}

async fn registry_detail(settings: &Settings) -> anyhow::Result<String> {
    let regions = registry(settings).await?.regions().await?;
    let partitions: BTreeSet<&str> = regions.enabled.iter().map(Region::partition).collect();
    let partitions: Vec<&str> = partitions.into_iter().collect();
    let mut detail = format!("{}, {} regions", settings.registry(), regions.enabled.len());
    if partitions != ["aws"] {
        detail.push_str(&format!(" of {}", partitions.join(", ")));
    }
    if !regions.not_enabled.is_empty() {
        detail.push_str(&format!(", {} not enabled", regions.not_enabled.len()));
    }
    Ok(detail)
}

async fn github_detail(settings: &Settings) -> anyhow::Result<String> {
    let client = github(settings).await?;
    let identity = client.identity().await?.login.clone();
    let repository = client.repository().await?;
    Ok(format!(
        "{} as {identity}, default branch {}",
        client.repository_name(),
        repository.default_branch
    ))
}

async fn git_detail(settings: &Settings) -> anyhow::Result<String> {
    let head = catalog(settings).await?.head().await?;
    Ok(format!(
        "{} is at {head}",
        settings.git_url().unwrap_or_default()
    ))
}
