//! Settings → the running parts: the only room that names concrete backends.

mod building;
mod examine;
mod examine_account;
mod examine_stack;
mod functions;
mod stores;

pub use functions::functions;

use crate::cli::{Backends, Served};
use crate::github::{GithubAuth, GithubClient, GithubSettings};
use crate::gitrepo::{CatalogRepository, CatalogSettings, Identity};
use crate::model::{SecretReference, Timestamp};
use crate::notify::Notifier;
use crate::pipeline::{Bot, Workshop};
use crate::registry::{AwsRegistry, DirectoryRegistry, Registry, Timing, aws_config, aws_configs};
use crate::secrets::SecretSource;
use crate::settings::{EngineSetting, Environment, RegistrySetting, Settings};
use anyhow::{Context as _, bail};
use aws_config::SdkConfig;
use building::{bench, resolver};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The backends of this program.
#[must_use]
pub fn backends() -> Backends {
    Backends {
        workshop: |settings| Box::pin(async move { workshop(&settings).await }),
        store: |settings, place| Box::pin(async move { stores::store(&settings, &place).await }),
        catalog: |settings| Box::pin(async move { catalog(&settings).await }),
        served: |settings| Box::pin(async move { served(&settings).await }),
        webhook_secrets: |settings| Box::pin(async move { webhook_secrets(&settings).await }),
        examine: |settings| Box::pin(async move { examine::examine(&settings).await }),
        examine_account: |settings, questions| {
            Box::pin(async move { examine_account::examine(&settings, &questions).await })
        },
        github: |settings| Box::pin(async move { github(&settings).await }),
        secrets: |settings| Box::pin(async move { secret_source(&settings) }),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

async fn registry(settings: &Settings) -> anyhow::Result<Arc<dyn Registry>> {
    Ok(match settings.registry() {
        RegistrySetting::Directory(path) => {
            let open = DirectoryRegistry::open(path.clone(), DirectoryRegistry::DEFAULT_ACCOUNT);
            Arc::new(open.with_context(|| {
                format!("the registry directory {} cannot be opened", path.display())
            })?)
        }
        RegistrySetting::Aws => {
            let configs = lazy_aws_configs(settings)().await;
            let timing = aws_timing(settings)?;
            let start = Instant::now();
            let clock = Arc::new(move || start.elapsed());
            Arc::new(AwsRegistry::new(configs, timing, clock))
        }
    })
}

fn aws_timeout(settings: &Settings) -> anyhow::Result<Duration> {
    seconds(settings.timeouts.aws_timeout, "LAYERSMITH_AWS_TIMEOUT")
}

/// A setting that is a time, and more than none.
fn seconds(value: f64, setting: &str) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|time| !time.is_zero())
        .with_context(|| format!("{setting} is no number of seconds"))
}

fn aws_timing(settings: &Settings) -> anyhow::Result<Timing> {
    let usual = Timing::of(aws_timeout(settings)?);
    Ok(match settings.timeouts.aws_publish_timeout {
        Some(seconds) => Timing {
            publishing: Duration::try_from_secs_f64(seconds)
                .context("LAYERSMITH_AWS_PUBLISH_TIMEOUT is no number of seconds")?,
            ..usual
        },
        None => usual,
    })
}

async fn workshop(settings: &Settings) -> anyhow::Result<Workshop> {
    let page = |name| format!("{}/{name}", settings.github_url.trim_end_matches('/'));
    let (bench, bodies) = bench(settings)?;
    Ok(Workshop {
        store: stores::store(settings, &settings.store()).await,
        registry: registry(settings).await?,
        bench,
        notifier: notifier(settings).await?,
        // One machine builds by itself.
        handover: match settings.engine {
            EngineSetting::Local => None,
            EngineSetting::StepFunctions(_) => bodies,
        },
        repository_page: settings.repository.as_ref().map(page),
    })
}

async fn notifier(settings: &Settings) -> anyhow::Result<Notifier> {
    let key = read_optional(
        &secret_source(settings),
        "LAYERSMITH_NOTIFY_SECRET",
        settings.notify_secret.as_ref(),
    )
    .await?;
    Ok(Notifier::new(lazy_aws_configs(settings), key))
}

/// Makes the SDK's configuration when it is needed: looking for credentials takes time where there are none.
fn lazy_aws_config(
    settings: &Settings,
) -> impl Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync + 'static {
    let (endpoint, region) = (&settings.aws_endpoint_url, &settings.aws_region);
    let place = (endpoint.clone(), region.clone());
    move || {
        let (endpoint, region) = place.clone();
        async move { aws_config(endpoint.as_deref(), region.as_str()).await }.boxed()
    }
}

/// The same for every partition that there are credentials for.
fn lazy_aws_configs(
    settings: &Settings,
) -> impl Fn() -> BoxFuture<'static, Vec<SdkConfig>> + Send + Sync + 'static {
    let (endpoint, region) = (&settings.aws_endpoint_url, &settings.aws_region);
    let all = (endpoint.clone(), region.clone(), settings.aws_roles.clone());
    move || {
        let (endpoint, region, roles) = all.clone();
        let roles = roles.as_deref().unwrap_or_default().to_vec();
        async move { aws_configs(endpoint.as_deref(), &region, &roles).await }.boxed()
    }
}

fn secret_source(settings: &Settings) -> SecretSource {
    SecretSource::new(lazy_aws_config(settings), Arc::new(Environment::variable))
}

async fn read_optional(
    source: &SecretSource,
    name: &str,
    reference: Option<&SecretReference>,
) -> anyhow::Result<Option<SecretString>> {
    match reference {
        Some(reference) => Ok(Some(
            source
                .read(reference)
                .await
                .with_context(|| name.to_owned())?,
        )),
        None => Ok(None),
    }
}

async fn webhook_secrets(settings: &Settings) -> anyhow::Result<Vec<SecretString>> {
    let secret = read_optional(
        &secret_source(settings),
        "LAYERSMITH_WEBHOOK_SECRET",
        settings.webhook_secret.as_ref(),
    )
    .await?;
    let lines = secret
        .iter()
        .flat_map(|secret| secret.expose_secret().lines());
    Ok(lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect())
}

async fn catalog(settings: &Settings) -> anyhow::Result<CatalogRepository> {
    let Some(url) = settings.git_url() else {
        bail!(
            "the catalog repository is not named: set LAYERSMITH_REPOSITORY (or LAYERSMITH_GIT_URL)"
        );
    };
    let source = secret_source(settings);
    let known_hosts = read_optional(
        &source,
        "LAYERSMITH_KNOWN_HOSTS",
        settings.known_hosts.as_ref(),
    )
    .await?;
    Ok(CatalogRepository::new(CatalogSettings {
        url,
        branch: None,
        deploy_key: read_optional(
            &source,
            "LAYERSMITH_DEPLOY_KEY",
            settings.deploy_key.as_ref(),
        )
        .await?,
        passphrase: read_optional(
            &source,
            "LAYERSMITH_DEPLOY_KEY_PASSPHRASE",
            settings.deploy_key_passphrase.as_ref(),
        )
        .await?,
        known_hosts: known_hosts.map(|lines| lines.expose_secret().to_owned()),
        identity: Identity {
            name: settings.git_identity.name.clone(),
            email: settings.git_identity.email.clone(),
        },
        work_dir: settings.data.join("catalog.git"),
        timeout: seconds(settings.timeouts.git_timeout, "LAYERSMITH_GIT_TIMEOUT")?,
    })?)
}

async fn github(settings: &Settings) -> anyhow::Result<GithubClient> {
    let settings = github_settings(settings, GithubAuth::Nobody).await?;
    if matches!(settings.auth, GithubAuth::Nobody) {
        bail!(
            "GitHub does not know the bot: set LAYERSMITH_GITHUB_APP_ID and LAYERSMITH_GITHUB_PRIVATE_KEY, or LAYERSMITH_GITHUB_TOKEN"
        );
    }
    Ok(GithubClient::new(settings)?)
}

/// How GitHub is spoken to; `otherwise` is who the bot is when the settings name nobody.
async fn github_settings(
    settings: &Settings,
    otherwise: GithubAuth,
) -> anyhow::Result<GithubSettings> {
    let Some(repository) = settings.repository.clone() else {
        bail!("the catalog repository is not named: set LAYERSMITH_REPOSITORY");
    };
    let source = secret_source(settings);
    let private_key = read_optional(
        &source,
        "LAYERSMITH_GITHUB_PRIVATE_KEY",
        settings.github_private_key.as_ref(),
    )
    .await?;
    let token = read_optional(
        &source,
        "LAYERSMITH_GITHUB_TOKEN",
        settings.github_token.as_ref(),
    )
    .await?;
    let auth = match (settings.github_app_id, private_key, token) {
        (Some(app_id), Some(private_key), _) => GithubAuth::App {
            app_id,
            private_key,
        },
        (Some(_), None, _) => {
            bail!("a GitHub App is named without its key: set LAYERSMITH_GITHUB_PRIVATE_KEY")
        }
        (None, _, Some(token)) => GithubAuth::Token(token),
        (None, _, None) => otherwise,
    };
    let write_interval = Duration::try_from_secs_f64(settings.github_write_interval)
        .context("LAYERSMITH_GITHUB_WRITE_INTERVAL is no number of seconds")?;
    let defaults = GithubSettings::new(repository, auth);
    let request_timeout = Duration::from_secs(settings.github_timeout.max(1));
    Ok(GithubSettings {
        api_url: settings.github_api_url.clone(),
        request_timeout,
        // Whoever does not wait long for an answer does not want long pauses between the questions either.
        retry_delay: defaults.retry_delay.min(request_timeout / 10),
        write_interval,
        ..defaults
    })
}

async fn served(settings: &Settings) -> anyhow::Result<Served> {
    let github = github(settings).await?;
    let repository = github.repository_name().clone();
    let webhook_secrets = webhook_secrets(settings).await?;
    if webhook_secrets.is_empty() {
        bail!("webhooks without a secret are anybody's: set LAYERSMITH_WEBHOOK_SECRET");
    }
    let bot = Bot {
        workshop: workshop(settings).await?,
        github: Arc::new(github),
        catalog: catalog(settings).await?,
    };
    Ok(Served {
        bot,
        repository,
        webhook_secrets,
    })
}
