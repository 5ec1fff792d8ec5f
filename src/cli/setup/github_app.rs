//! `layersmith setup github-app`: the App, made on GitHub from a manifest by a person in a browser.

use super::{Backends, Ended, Failure, Output, is_place};
use crate::cli::span::Span;
use crate::github::{APP_NAME_LIMIT, NewApp, app_manifest, exchange_code, fresh_state};
use crate::model::SecretReference;
use crate::secrets::{Replace, SecretSource};
use crate::server::{AppRegistration, receive_code};
use crate::settings::Settings;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// Where webhooks are taken in.
const INTAKE: &str = "/webhooks/github";
/// Where the private key is kept when nothing else is said, as `AppSecret` of `deploy/template.yaml` has it.
const PRIVATE_KEY: &str = "secretsmanager:layersmith/github#private_key";
/// The same for the webhook secret and `WebhookSecret`: the function that reads it may read no other.
const WEBHOOK_SECRET: &str = "secretsmanager:layersmith/webhook#webhook_secret";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where GitHub reaches the bot: `https://HOST`, with or without `/webhooks/github`
    #[arg(long, value_name = "URL")]
    url: Url,

    /// The organization that the App shall belong to; default: you
    #[arg(long, value_name = "LOGIN")]
    organization: Option<String>,

    /// The App's name, which nobody on GitHub may have yet; default: layersmith and the repository's owner
    #[arg(long)]
    name: Option<String>,

    /// Where its secrets are kept: `secretsmanager:NAME`, `ssm:/FOLDER` or `file:FOLDER`; default: where
    /// `LAYERSMITH_GITHUB_PRIVATE_KEY` and `LAYERSMITH_WEBHOOK_SECRET` point, else in secretsmanager:layersmith/github and
    /// secretsmanager:layersmith/webhook, which the deployment on AWS reads
    #[arg(long, value_name = "SECRET")]
    to: Option<SecretReference>,

    /// Keep the new secrets in place of those that are there
    #[arg(long)]
    replace: bool,

    /// The port of the page on 127.0.0.1; default: a free one
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    /// How long to wait for the browser
    #[arg(long, default_value = "15m", value_name = "TIME")]
    wait: Span,
}

/// Where the App's secrets are kept.
struct Places {
    webhook_secret: SecretReference,
    private_key: SecretReference,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
) -> Result<Ended, Failure> {
    let hook_url = hook_url(&options.url).map_err(|error| Failure::Usage(error.to_string()))?;
    let name = app_name(&settings, options).map_err(|error| Failure::Usage(error.to_string()))?;
    let places =
        Places::of(&settings, options).map_err(|error| Failure::Usage(error.to_string()))?;
    let secrets = (backends.secrets)(settings.clone()).await;
    // GitHub hands the secrets out once: whether they can be kept is better known before.
    places.are_ready(&secrets, options.replace).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
        .await
        .with_context(|| format!("port {} cannot be listened on", options.port))?;
    let address = listener.local_addr()?;
    let registration = registration(&settings, options, &name, &hook_url, address)?;
    // Listened to from now on, also while the page is still being announced.
    let mut interrupt = signal(SignalKind::interrupt())?;
    output.ask(
        &json!({ "open": format!("http://{address}/"), "wait": options.wait.to_string() }),
        &how_to_open(address, options.wait),
    );
    let code = tokio::select! {
        code = receive_code(listener, registration) => code?,
        () = tokio::time::sleep(options.wait.0) => {
            return Err(Failure::Failed(anyhow!(
                "GitHub sent nobody back within {}: nothing was changed here; run the command again",
                options.wait
            )));
        }
        _ = interrupt.recv() => {
            return Err(Failure::Failed(anyhow!("stopped: nothing was changed here")));
        }
    };
    let app = exchange_code(&settings.github_api_url, &code).await?;
    if let Err(error) = keep(&secrets, &places, &app, options.replace).await {
        return Err(Failure::Failed(kept_elsewhere(&settings, &app, &error)));
    }
    answer(output, &settings, &places, &app)?;
    Ok(Ended::Done)
}

/// `--url` with the path of the intake. Without TLS webhooks could be read on the way.
fn hook_url(url: &Url) -> anyhow::Result<String> {
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    if url.host_str().is_none() || url.scheme() != "https" && !(is_here && url.scheme() == "http") {
        bail!("--url {url}: GitHub reaches the bot over HTTPS: write https://HOST");
    }
    let plain = url.query().is_none() && url.fragment().is_none();
    let text = url.as_str().trim_end_matches('/');
    match url.path().trim_end_matches('/') {
        _ if !plain => bail!("--url {url}: write it without `?` and `#`"),
        path if path.ends_with(INTAKE) => Ok(text.to_owned()),
        _ => Ok(format!("{text}{INTAKE}")),
    }
}

fn app_name(settings: &Settings, options: &Options) -> anyhow::Result<String> {
    let name = match (&options.name, &settings.repository) {
        (Some(name), _) => name.trim().to_owned(),
        (None, Some(repository)) => {
            let whole = format!("layersmith-{}", repository.owner());
            let cut: String = whole.chars().take(APP_NAME_LIMIT).collect();
            cut.trim_end_matches('-').to_owned()
        }
        (None, None) => "layersmith".to_owned(),
    };
    let length = name.chars().count();
    if length == 0 || length > APP_NAME_LIMIT {
        bail!("--name {name}: an App's name has 1 to {APP_NAME_LIMIT} characters");
    }
    Ok(name)
}

impl Places {
    fn of(settings: &Settings, options: &Options) -> anyhow::Result<Self> {
        let of = |key: &str, set: Option<&SecretReference>, usual: &str| match &options.to {
            Some(to) => below(to, key),
            None => match set.filter(|set| is_place(set)) {
                Some(set) => Ok(set.clone()),
                None => usual.parse().map_err(|error| anyhow!("{usual}: {error}")),
            },
        };
        let (key, secret) = (&settings.github_private_key, &settings.webhook_secret);
        Ok(Self {
            private_key: of("private_key", key.as_ref(), PRIVATE_KEY)?,
            webhook_secret: of("webhook_secret", secret.as_ref(), WEBHOOK_SECRET)?,
        })
    }

    fn both(&self) -> [&SecretReference; 2] {
        [&self.private_key, &self.webhook_secret]
    }

    /// # Errors
    /// When something is kept at one of the places that must not be replaced, or they cannot be looked at.
    async fn are_ready(&self, secrets: &SecretSource, replace: bool) -> Result<(), Failure> {
        for place in self.both() {
            match secrets.read(place).await {
                Ok(_) if replace => {}
                Ok(_) => {
                    return Err(Failure::Usage(format!(
                        "{place}: a secret is kept there already: --replace puts the new App's in its place, --to names another one"
                    )));
                }
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A key of a secret, a parameter below a folder of them, or a file in a folder.
fn below(place: &SecretReference, key: &str) -> anyhow::Result<SecretReference> {
    Ok(match place {
        SecretReference::SecretsManager { id, key: None } => SecretReference::SecretsManager {
            id: id.clone(),
            key: Some(key.to_owned()),
        },
        SecretReference::Ssm(name) => {
            SecretReference::Ssm(format!("{}/{key}", name.trim_end_matches('/')))
        }
        SecretReference::File(folder) => SecretReference::File(folder.join(key)),
        _ => bail!(
            "--to: two secrets are kept: write secretsmanager:NAME, ssm:/FOLDER or file:FOLDER"
        ),
    })
}

fn registration(
    settings: &Settings,
    options: &Options,
    name: &str,
    hook_url: &str,
    address: SocketAddr,
) -> anyhow::Result<AppRegistration> {
    let site = settings.github_url.trim_end_matches('/');
    let home = match &settings.repository {
        Some(repository) => format!("{site}/{repository}"),
        None => hook_url.trim_end_matches(INTAKE).to_owned(),
    };
    let manifest = app_manifest(
        name,
        &home,
        hook_url,
        &AppRegistration::redirect_url(address),
    );
    let state = fresh_state()?;
    let mut action = Url::parse(site).with_context(|| format!("{site} is no address"))?;
    {
        let mut path = action
            .path_segments_mut()
            .map_err(|()| anyhow!("{site} is no address of a site"))?;
        path.pop_if_empty();
        if let Some(organization) = &options.organization {
            path.extend(["organizations", organization.as_str()]);
        }
        path.extend(["settings", "apps", "new"]);
    }
    action.query_pairs_mut().append_pair("state", &state);
    Ok(AppRegistration {
        action: action.into(),
        manifest: manifest.to_string(),
        state,
    })
}

fn how_to_open(address: SocketAddr, wait: Span) -> String {
    let port = address.port();
    format!(
        "Open http://{address}/ in a browser within {wait} and make the App there.\n\
         Is the browser on another machine? Then first, over there: ssh -N -L {port}:{address} THIS-MACHINE"
    )
}

async fn keep(
    secrets: &SecretSource,
    places: &Places,
    app: &NewApp,
    replace: bool,
) -> anyhow::Result<()> {
    let how = if replace {
        Replace::Allowed
    } else {
        Replace::Never
    };
    let webhook_secret = app
        .webhook_secret
        .as_ref()
        .context("GitHub made no webhook secret: set one on the App's page")?;
    secrets
        .keep(&places.private_key, &app.private_key, how)
        .await?;
    secrets
        .keep(&places.webhook_secret, webhook_secret, how)
        .await?;
    Ok(())
}

/// What could not be kept where it should is put into a file that only its owner reads, and said.
fn kept_elsewhere(settings: &Settings, app: &NewApp, error: &anyhow::Error) -> anyhow::Error {
    let reason = format!(
        "the App {} (id {}) is made, and its secrets could not be kept: {error:#}",
        app.slug, app.id
    );
    let reveal = |secret: &SecretString| secret.expose_secret().to_owned();
    let text = json!({
        "private_key": reveal(&app.private_key),
        "webhook_secret": app.webhook_secret.as_ref().map(reveal),
    });
    let write = || -> anyhow::Result<std::path::PathBuf> {
        std::fs::create_dir_all(&settings.data)?;
        // Such files are made with mode 0600.
        let mut file = tempfile::Builder::new()
            .prefix(&format!("github-app-{}-", app.id))
            .suffix(".json")
            .tempfile_in(&settings.data)?;
        std::io::Write::write_all(&mut file, text.to_string().as_bytes())?;
        Ok(file.keep()?.1)
    };
    match write() {
        Ok(path) => anyhow!(
            "{reason}. They are in {} for now: store them and delete it",
            path.display()
        ),
        Err(also) => anyhow!(
            "{reason}, nor in {} ({also:#}): make new ones on {}",
            settings.data.display(),
            app.page
        ),
    }
}

fn answer(
    output: &Output,
    settings: &Settings,
    places: &Places,
    app: &NewApp,
) -> anyhow::Result<()> {
    let install = format!("{}/installations/new", app.page.trim_end_matches('/'));
    let repository = settings
        .repository
        .as_ref()
        .map_or_else(|| "the catalog repository".to_owned(), ToString::to_string);
    let set = [
        ("LAYERSMITH_GITHUB_APP_ID", app.id.to_string()),
        (
            "LAYERSMITH_GITHUB_PRIVATE_KEY",
            places.private_key.to_string(),
        ),
        (
            "LAYERSMITH_WEBHOOK_SECRET",
            places.webhook_secret.to_string(),
        ),
    ];
    let lines: String = set
        .iter()
        .map(|(name, value)| format!("  {name}={value}\n"))
        .collect();
    let text = format!(
        "The App {} is made, and its secrets are kept.\n\nInstall it on {repository}, and nowhere else: {install}\n\nThen set:\n{lines}",
        app.slug
    );
    let set: serde_json::Map<String, serde_json::Value> = set
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    output.answer(
        &json!({
            "app": { "id": app.id, "slug": app.slug, "page": app.page },
            "install": install,
            "set": set,
        }),
        &text,
    )
}
