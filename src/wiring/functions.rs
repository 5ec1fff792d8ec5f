//! Settings → the parts of the functions on AWS Lambda.

use super::building::bench;
use super::stores::{lease, store};
use super::{catalog, github_settings, lazy_aws_config, now, webhook_secrets, workshop};
use crate::github::{GithubAuth, GithubClient};
use crate::lambda::{Backends, FunctionWaker, StepWorker};
use crate::pipeline::engine::{Engine, StepFunctionsEngine};
use crate::pipeline::flow::Worker;
use crate::pipeline::{Bot, TaskBodies, Workbench};
use crate::server::{AppState, Wake};
use crate::settings::{EngineSetting, FunctionSetting, Settings};
use crate::telemetry::Counters;
use anyhow::{Context as _, bail};
use std::sync::Arc;
use tokio::sync::Notify;

/// The back ends of the functions.
#[must_use]
pub fn functions() -> Backends {
    Backends {
        web: |settings| Box::pin(async move { web(&settings).await }),
        steps: |settings| Box::pin(async move { steps(&settings).await }),
        starter: |settings| Box::pin(async move { starter(&settings).await }),
        builder: |settings| Box::pin(async move { builder(&settings).await }),
    }
}

async fn web(settings: &Settings) -> anyhow::Result<AppState> {
    let takes_deliveries = settings.function == Some(FunctionSetting::Webhook);
    let mut secrets = Vec::new();
    if takes_deliveries {
        secrets = webhook_secrets(settings).await?;
        if secrets.is_empty() {
            bail!("webhooks without a secret are anybody's: set LAYERSMITH_WEBHOOK_SECRET");
        }
    }
    let wake: Arc<dyn Wake> = match &settings.sweep_function {
        Some(function) => {
            let config = lazy_aws_config(settings)().await;
            let client = aws_sdk_lambda::Client::new(&config);
            Arc::new(FunctionWaker::new(client, function.clone()))
        }
        None => Arc::new(Notify::new()),
    };
    Ok(AppState {
        store: store(settings, &settings.store()).await,
        repository: settings.repository.clone().filter(|_| takes_deliveries),
        webhook_secrets: secrets.into(),
        wake,
        counters: Counters::default(),
        clock: Arc::new(now),
    })
}

async fn steps(settings: &Settings) -> anyhow::Result<StepWorker> {
    let worker = match settings.function {
        Some(FunctionSetting::Plan) => Worker::Plan,
        Some(FunctionSetting::Publish) => Worker::Publish,
        Some(FunctionSetting::Tables) => Worker::Tables,
        Some(FunctionSetting::Comment) => Worker::Comment,
        Some(FunctionSetting::Expire) => Worker::Expire,
        other => bail!("{other:?} carries out no steps"),
    };
    Ok(StepWorker {
        bot: bot(settings).await?,
        worker,
        lease: lease(settings).await?,
    })
}

async fn starter(settings: &Settings) -> anyhow::Result<(Bot, Arc<dyn Engine>)> {
    let EngineSetting::StepFunctions(machines) = &settings.engine else {
        bail!("runs are carried out by state machines: set LAYERSMITH_ENGINE=stepfunctions:ARN");
    };
    let bot = bot(settings).await?;
    let config = lazy_aws_config(settings)().await;
    let client = aws_sdk_sfn::Client::new(&config);
    let engine = StepFunctionsEngine::new(bot.clone(), client, machines.clone());
    Ok((bot, Arc::new(engine)))
}

async fn builder(settings: &Settings) -> anyhow::Result<(Workbench, TaskBodies)> {
    let (bench, bodies) = bench(settings)?;
    let bodies =
        bodies.context("tasks are left in S3: set LAYERSMITH_ARTIFACTS=s3://BUCKET/PREFIX")?;
    Ok((bench, bodies))
}

/// The bot, with what the settings of the function name: a function that was given no key for GitHub, or none for the
/// catalog repository, has no business there.
async fn bot(settings: &Settings) -> anyhow::Result<Bot> {
    let github = github_settings(settings, GithubAuth::Nobody).await?;
    Ok(Bot {
        workshop: workshop(settings).await?,
        github: Arc::new(GithubClient::new(github)?),
        catalog: catalog(settings).await?,
    })
}
