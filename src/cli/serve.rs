//! `layersmith serve`: the server, and whoever works on what it takes in.

use super::{Backends, Ended, Failure, Output, Served};
use crate::model::{RepositoryName, RunKind};
use crate::pipeline::engine::{Engine, LocalEngine};
use crate::pipeline::intake::Intake;
use crate::pipeline::{Workshop, deliver_notifications};
use crate::server::{self, AppState};
use crate::settings::{EngineSetting, ListenSettings, Settings};
use crate::telemetry::Counters;
use anyhow::Context as _;
use backon::ExponentialBuilder;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long an event that could not be handled waits for the next look, when no new one comes first.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often messages are looked for whose next try is due.
const LOOK_FOR_MESSAGES: Duration = Duration::from_secs(10);

/// How often the store is asked whether an upgrade, an expiry or a verification is due.
const LOOK_WHAT_IS_DUE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    listen: ListenSettings,
}

pub(super) async fn run(
    output: &Output,
    backends: Backends,
    settings: Settings,
    options: &Options,
    counters: Counters,
) -> Result<Ended, Failure> {
    if settings.engine != EngineSetting::Local {
        return Err(Failure::Usage(format!(
            "`serve` carries runs out itself; LAYERSMITH_ENGINE={} is for functions on AWS Lambda",
            settings.engine
        )));
    }
    let wake = Arc::new(Notify::new());
    let (state, workshop, intake) = if settings.repository.is_some() {
        let Served {
            bot,
            repository,
            webhook_secrets,
        } = (backends.served)(settings).await?;
        let engine = LocalEngine::new(bot.clone(), retries(options.listen.patience));
        let resumed = engine.take_up().await?;
        tracing::info!(%repository, "serving {repository}; {resumed} runs taken up");
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let state = app_state(
            &bot.workshop,
            Some(repository),
            webhook_secrets,
            &wake,
            counters,
        );
        (state, bot.workshop.clone(), Some(Intake::new(bot, engine)))
    } else {
        let workshop = (backends.workshop)(settings).await?;
        // A store that cannot be opened is told now, not to whoever asks first.
        workshop.store.first_run_at().await?;
        tracing::info!("no repository is set: only the read API and the pages are served");
        let state = app_state(&workshop, None, Vec::new(), &wake, counters);
        (state, workshop, None)
    };
    let listener = tokio::net::TcpListener::bind(options.listen.listen)
        .await
        .with_context(|| format!("{} cannot be listened on", options.listen.listen))?;
    let address = listener.local_addr()?;
    output.answer(
        &serde_json::json!({ "listening": address }),
        &format!("Listening on http://{address}"),
    )?;
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(intake) = intake {
        tasks.spawn(handle_events(intake.clone(), Arc::clone(&wake)));
        tasks.spawn(start_what_is_due(intake.clone()));
        if options.listen.sweep_interval > 0 {
            tasks.spawn(sweep(
                intake,
                Duration::from_secs(options.listen.sweep_interval),
            ));
        }
    }
    tasks.spawn(deliver(workshop));
    server::run(listener, state, stopped()).await?;
    // Whatever is under way is in the journal and goes on at the next start.
    tasks.abort_all();
    Ok(Ended::Done)
}

fn app_state(
    workshop: &Workshop,
    repository: Option<RepositoryName>,
    webhook_secrets: Vec<secrecy::SecretString>,
    wake: &Arc<Notify>,
    counters: Counters,
) -> AppState {
    AppState {
        store: Arc::clone(&workshop.store),
        repository,
        webhook_secrets: webhook_secrets.into(),
        wake: Arc::clone(wake) as Arc<dyn server::Wake>,
        counters,
        clock: Arc::clone(&workshop.bench.clock),
    }
}

/// From half a second to a minute, as long as they are within the patience together.
fn retries(patience: u64) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(60))
        .without_max_times()
        .with_total_delay(Some(Duration::from_secs(patience)))
        .with_jitter()
}

async fn handle_events(intake: Intake, wake: Arc<Notify>) {
    loop {
        if let Err(error) = intake.take_up_waiting().await {
            tracing::error!("events wait: {error:#}");
        }
        // Whatever happens first, the store is looked at.
        tokio::select! {
            () = wake.notified() => {}
            () = intake.lane_ended() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Delivers messages as soon as there are any, and looks again for those whose next try is due.
async fn deliver(workshop: Workshop) {
    loop {
        if let Err(failure) = deliver_notifications(&workshop).await {
            tracing::error!("messages wait: {failure}");
        }
        tokio::select! {
            () = workshop.notifier.woken() => {}
            () = tokio::time::sleep(LOOK_FOR_MESSAGES) => {}
        }
    }
}

async fn sweep(intake: Intake, interval: Duration) {
    loop {
        if let Err(failure) = intake.sweep().await {
            tracing::warn!("the sweep ended early: {failure}");
        }
        tokio::time::sleep(interval).await;
    }
}

async fn start_what_is_due(intake: Intake) {
    loop {
        if let Err(failure) = intake.start_what_is_due(&RunKind::SCHEDULED).await {
            tracing::warn!("what is due could not be started: {failure}");
        }
        tokio::time::sleep(LOOK_WHAT_IS_DUE).await;
    }
}

/// Done when somebody presses Ctrl-C or the process is told to end.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate => {}
    }
}
