//! The functions of the deployment on AWS: one executable, which takes its role from `LAYERSMITH_FUNCTION`.
//!
//! The webhook and the API are the server's own router; the others carry out one step of a run each, or look what is to be
//! started. Deliberately absent: what the steps do, and which back ends there are; [`Backends`] is handed in.

mod build;
mod step;
mod sweep;
mod waker;
mod web;

pub use build::{ExaminedHost, ExaminedUv};
pub use step::StepWorker;
pub use waker::FunctionWaker;

use crate::pipeline::engine::Engine;
use crate::pipeline::{Bot, StepFailure, TaskBodies, Workbench};
use crate::server::AppState;
use crate::settings::{FunctionSetting, Settings};
use crate::telemetry::invocation;
use futures::future::BoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::Instrument as _;

type Connect<T> = fn(Settings) -> BoxFuture<'static, anyhow::Result<T>>;

/// Makes the parts that a function needs out of the settings; what its role may not read is not asked for.
#[derive(Clone, Copy)]
pub struct Backends {
    /// For the webhook and the API.
    pub web: Connect<AppState>,
    /// For whoever carries out steps.
    pub steps: Connect<StepWorker>,
    /// For whoever starts runs: the bot and its engine.
    pub starter: Connect<(Bot, Arc<dyn Engine>)>,
    /// For whoever builds: a workbench, and where tasks and results are.
    pub builder: Connect<(Workbench, TaskBodies)>,
}

/// Why a function did not do what it was asked for. The state machines know these by name.
#[derive(Debug, thiserror::Error)]
enum FunctionError {
    /// The step failed.
    #[error("{0}")]
    Step(#[from] StepFailure),
    /// The run was stopped, or has ended.
    #[error("run {0} is over")]
    RunOver(String),
    /// Another run has the turn to publish.
    #[error("run {0} has the turn to publish")]
    TurnTaken(String),
}

impl From<anyhow::Error> for FunctionError {
    fn from(error: anyhow::Error) -> Self {
        Self::Step(error.into())
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        let name = match &error {
            FunctionError::Step(failure) if failure.artifact_lost => "ArtifactLost",
            FunctionError::Step(failure) if failure.transient => "Transient",
            FunctionError::Step(_) => "Lasting",
            FunctionError::RunOver(_) => "RunOver",
            FunctionError::TurnTaken(_) => "TurnTaken",
        };
        Self {
            error_type: name.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Answers invocations until the environment is taken down.
///
/// # Errors
/// When the settings cannot work, or the Lambda Runtime API does not answer.
pub async fn run(
    function: FunctionSetting,
    settings: Settings,
    backends: Backends,
) -> anyhow::Result<()> {
    match function {
        FunctionSetting::Webhook | FunctionSetting::Api => {
            web::run((backends.web)(settings).await?).await
        }
        FunctionSetting::Plan
        | FunctionSetting::Publish
        | FunctionSetting::Comment
        | FunctionSetting::Expire => {
            let worker = Arc::new((backends.steps)(settings).await?);
            serve(move |event, left| {
                let worker = Arc::clone(&worker);
                async move { Box::pin(worker.handle(event, left)).await }
            })
            .await
        }
        // Made anew for each step, because the deploy key is then read anew: a replaced one is used at once, and the old one
        // can be taken away at GitHub.
        FunctionSetting::Tables => {
            serve(move |event, left| {
                let connected = (backends.steps)(settings.clone());
                async move { Box::pin(connected.await?.handle(event, left)).await }
            })
            .await
        }
        FunctionSetting::Build => {
            let data: Arc<Path> = settings.data.clone().into();
            let (bench, bodies) = (backends.builder)(settings).await?;
            serve(move |event, left| {
                let (bench, bodies, data) = (bench.clone(), bodies.clone(), Arc::clone(&data));
                async move { build::handle(&bench, &bodies, &data, &event, left).await }
            })
            .await
        }
        FunctionSetting::Sweep => {
            let (bot, engine) = (backends.starter)(settings).await?;
            let sweeper = sweep::Sweeper::new(bot, engine);
            serve(move |event, _| {
                let sweeper = sweeper.clone();
                async move { sweeper.handle(&event).await }
            })
            .await
        }
    }
}

/// Hands every invocation to `handle`, with the time that is left for it.
async fn serve<E, A, F, H>(handle: H) -> anyhow::Result<()>
where
    E: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    F: Future<Output = Result<A, FunctionError>> + Send + 'static,
    H: Fn(E, Duration) -> F + Send + Sync,
{
    let function = service_fn(|event: LambdaEvent<E>| {
        // As an object: a step's future is deep, and the runtime wraps it in many layers more.
        let span = invocation(&event.context.request_id);
        let left = event.context.deadline().duration_since(SystemTime::now());
        let answer = handle(event.payload, left.unwrap_or_default()).instrument(span);
        let answer: BoxFuture<'static, Result<A, FunctionError>> = Box::pin(answer);
        async move {
            let answer = answer.await;
            if let Err(error) = &answer {
                tracing::warn!("the invocation failed: {error}");
            }
            answer
        }
    });
    lambda_runtime::run(function)
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
}
