//! A GitHub App made from a manifest: what the bot's App is, and what GitHub hands out once a person has said yes.
//!
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

use super::error::{GithubError, scrubbed};
use anyhow::Context as _;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest name of an App, in characters.
pub const APP_NAME_LIMIT: usize = 34;

/// What the bot's App may do. Contents stay at `read`: the tables are pushed with the deploy key.
const APP_PERMISSIONS: [(&str, &str); 5] = [
    ("checks", "write"),
    ("contents", "read"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
];
/// What the bot's App is told of.
const APP_EVENTS: [&str; 3] = ["issue_comment", "pull_request", "push"];

/// The manifest of the bot's App. `home` is the page that its name links to, `hook_url` where webhooks go, `redirect_url`
/// where GitHub sends the browser with the code.
#[must_use]
pub fn app_manifest(name: &str, home: &str, hook_url: &str, redirect_url: &str) -> Value {
    let permissions: serde_json::Map<String, Value> = APP_PERMISSIONS
        .iter()
        .map(|(name, level)| ((*name).to_owned(), Value::from(*level)))
        .collect();
    json!({
        "name": name,
        "url": home,
        "description": "Builds AWS Lambda layers from pull requests",
        "hook_attributes": { "url": hook_url, "active": true },
        "redirect_url": redirect_url,
        "public": false,
        "default_permissions": permissions,
        "default_events": APP_EVENTS,
    })
}

/// A text that nobody can guess, for `state`: 32 hexadecimal digits.
///
/// # Errors
/// When the system gives no random numbers.
pub fn fresh_state() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A new App. GitHub hands out its secrets this once.
#[derive(Debug)]
pub struct NewApp {
    /// Its id.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// Its page, below which it is installed.
    pub page: String,
    /// Its private key, PEM.
    pub private_key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: Option<SecretString>,
}

/// Why the code was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// GitHub does not know the code.
    #[error(
        "GitHub does not know this code: it is good for one hour and for one use; run the command again"
    )]
    CodeExpired,
    /// GitHub did not answer, or not with an App.
    #[error(transparent)]
    Github(#[from] GithubError),
}

#[derive(Deserialize)]
struct Conversion {
    id: u64,
    slug: Option<String>,
    html_url: String,
    pem: String,
    webhook_secret: Option<String>,
}

/// Exchanges the code that GitHub sent the browser back with for the App. Nobody has to be known for that.
///
/// # Errors
/// See [`ManifestError`].
pub async fn exchange_code(api_url: &str, code: &str) -> Result<NewApp, ManifestError> {
    let what = "POST /app-manifests/…/conversions";
    let unreachable = |error: reqwest::Error, sent: bool| GithubError::Unreachable {
        what: what.to_owned(),
        message: scrubbed(&error.without_url().to_string()),
        sent,
    };
    let is_plain = !code.is_empty()
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_plain {
        return Err(ManifestError::CodeExpired);
    }
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .user_agent(concat!("layersmith/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| unreachable(error, false))?;
    let url = format!(
        "{}/app-manifests/{code}/conversions",
        api_url.trim_end_matches('/')
    );
    let answer = client
        .post(url)
        .header("accept", "application/vnd.github+json")
        .send()
        .await
        .map_err(|error| unreachable(error, true))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer
        .bytes()
        .await
        .map_err(|error| unreachable(error, true))?;
    match status {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => return Err(ManifestError::CodeExpired),
        status => {
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            let message = value["message"].as_str().unwrap_or_default();
            return Err(GithubError::from_answer(what, status, &headers, message).into());
        }
    }
    // Its own words could repeat a part of the key.
    let app: Conversion = serde_json::from_slice(&body)
        .map_err(|_| GithubError::unexpected(what, "this is no App with its key"))?;
    Ok(NewApp {
        id: app.id,
        slug: app.slug.unwrap_or_default(),
        page: app.html_url,
        private_key: app.pem.into(),
        webhook_secret: app.webhook_secret.map(SecretString::from),
    })
}
