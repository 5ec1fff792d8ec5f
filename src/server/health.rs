//! Whether the server is alive and ready, and what it has to do, for machines.

use super::AppState;
use crate::model::{LayerState, RunState};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers, too.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    match state.store.runs_in(RunState::Open).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => {
            tracing::error!("not ready: the store does not answer: {error:#}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the store does not answer\n",
            )
                .into_response()
        }
    }
}

/// Prometheus' text format, version 0.0.4.
pub(super) async fn metrics(State(state): State<AppState>) -> Response {
    match collect(&state).await {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!("no metrics: {error:#}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the store does not answer\n",
            )
                .into_response()
        }
    }
}

async fn collect(state: &AppState) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "# HELP layersmith_runs Runs by state.\n# TYPE layersmith_runs gauge"
    )?;
    for (name, run_state) in [
        ("open", RunState::Open),
        ("done", RunState::Done),
        ("failed", RunState::Failed),
        ("superseded", RunState::Superseded),
        ("cancelled", RunState::Cancelled),
    ] {
        writeln!(
            text,
            "layersmith_runs{{state=\"{name}\"}} {}",
            state.store.runs_in(run_state).await?.len()
        )?;
    }
    let mut versions: BTreeMap<&str, usize> =
        BTreeMap::from([("intent", 0), ("live", 0), ("deprecated", 0)]);
    for version in state.store.layer_versions().await? {
        let name = match version.state {
            LayerState::Intent => "intent",
            LayerState::Live => "live",
            LayerState::Deprecated => "deprecated",
            LayerState::Deleted => "deleted",
        };
        *versions.entry(name).or_default() += 1;
    }
    writeln!(
        text,
        "# HELP layersmith_layer_versions Layer versions by state.\n# TYPE layersmith_layer_versions gauge"
    )?;
    for (name, count) in versions {
        writeln!(
            text,
            "layersmith_layer_versions{{state=\"{name}\"}} {count}"
        )?;
    }
    let waiting = state.store.waiting_events(10_000).await?.len();
    writeln!(
        text,
        "# HELP layersmith_events_waiting Events nobody has handled yet.\n# TYPE layersmith_events_waiting gauge"
    )?;
    writeln!(text, "layersmith_events_waiting {waiting}")?;
    Ok(text)
}
