//! `layersmith replay FILE`: a recorded webhook payload, signed and sent to a running server.

use super::{Backends, Ended, Failure, Output};
use crate::github::sign;
use crate::model::Digest;
use crate::settings::Settings;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The payload: what GitHub sent as the body
    file: PathBuf,

    /// The event's name, as GitHub writes it in X-GitHub-Event: `pull_request`, `push`, `issue_comment`
    #[arg(long)]
    event: String,

    /// The delivery's id; default: made from the payload, so that the same file is the same delivery
    #[arg(long)]
    id: Option<String>,

    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let body = std::fs::read(&options.file)
        .map_err(|error| Failure::Usage(format!("{}: {error}", options.file.display())))?;
    let secrets = (backends.webhook_secrets)(settings).await?;
    let Some(secret) = secrets.first() else {
        return Err(Failure::Usage(
            "a payload is signed with the webhook secret: set LAYERSMITH_WEBHOOK_SECRET".to_owned(),
        ));
    };
    let id = options
        .id
        .clone()
        .unwrap_or_else(|| format!("replay-{}", Digest::of(&body).short()));
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let response = client
        .post(format!(
            "{}/webhooks/github",
            options.url.trim_end_matches('/')
        ))
        .header("content-type", "application/json")
        .header("x-github-event", &options.event)
        .header("x-github-delivery", &id)
        .header("x-hub-signature-256", sign(secret, &body))
        .body(body)
        .send()
        .await?;
    let status = response.status();
    let text = response.text().await?;
    output.answer(
        &serde_json::json!({ "status": status.as_u16(), "body": text }),
        &format!("{status}: {text}"),
    )?;
    Ok(if status.is_success() {
        Ended::Done
    } else {
        Ended::Incomplete
    })
}
