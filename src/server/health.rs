//! Whether the server is alive and ready, and what it has to do, for machines.

use super::AppState;
use crate::model::RunState;
use crate::pipeline::gauges;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

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
    match gauges(&*state.store, (state.clock)()).await {
        Ok(now) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            state.counters.text(&now),
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
