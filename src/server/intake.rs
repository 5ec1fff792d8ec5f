//! `POST /webhooks/github`: size → signature → durable → answered, in milliseconds.

use super::AppState;
use crate::github::{Received, read_event, verify_signature};
use crate::model::{Delivery, Event};
use crate::store::Recorded;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde_json::json;
use std::error::Error;
use std::time::Duration;

/// The largest payload GitHub sends, 25 MB (GitHub documentation, "Webhook events and payloads").
const PAYLOAD_LIMIT: usize = 25 * 1024 * 1024;
/// How long a payload may take to arrive. GitHub waits 10 seconds for the answer.
const PAYLOAD_PATIENCE: Duration = Duration::from_secs(10);

/// The longest delivery id and event name that are written down; GitHub's are far shorter.
const HEADER_LIMIT: usize = 100;

/// Takes a delivery in. 202 with the delivery's id once it is written down, also when there is nothing to do about it;
/// 401 on a bad signature, 408 when it is not sent in time, 413 over 25 MB, 415 and 400 for what is not a JSON payload,
/// 503 when it cannot be kept (GitHub shows the delivery as failed, and it can be redelivered).
pub(super) async fn receive(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(repository) = &state.repository else {
        return refuse(
            StatusCode::NOT_FOUND,
            "no repository is served here: set LAYERSMITH_REPOSITORY",
        );
    };
    let body = match payload(&headers, body).await {
        Ok(body) => body,
        Err((status, message)) => return refuse(status, message),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Err(error) =
        verify_signature(&state.webhook_secrets, &body, header("x-hub-signature-256"))
    {
        tracing::warn!("a delivery was refused: {error}");
        return refuse(StatusCode::UNAUTHORIZED, &error.to_string());
    }
    let content_type = header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "set the webhook's content type to application/json",
        );
    }
    let named = |name: &str| {
        header(name)
            .filter(|value| !value.is_empty() && value.len() <= HEADER_LIMIT)
            .map(str::to_owned)
    };
    let (Some(id), Some(name)) = (named("x-github-delivery"), named("x-github-event")) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the headers X-GitHub-Delivery and X-GitHub-Event are missing",
        );
    };
    let received = match read_event(&name, &body, repository) {
        Ok(received) => received,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let received_at = (state.clock)();
    let delivery = Delivery {
        id: id.clone(),
        event: name.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
        received_at,
    };
    let (event, ignored) = match received {
        Received::Act(happening) => match serde_json::to_value(&happening) {
            Ok(payload) => (
                Some(Event {
                    key: happening.key,
                    delivery: id.clone(),
                    payload,
                    received_at,
                }),
                None,
            ),
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        Received::Ignore { reason } => (None, Some(reason)),
    };
    match state.store.record_delivery(&delivery, event.as_ref()).await {
        Ok(recorded) => {
            state.wake.wake().await;
            let outcome = match (recorded, ignored) {
                (_, Some(reason)) => format!("ignored: {reason}"),
                (Recorded::New, None) => "accepted".to_owned(),
                (Recorded::SeenDelivery | Recorded::SeenEvent, None) => "known already".to_owned(),
            };
            tracing::info!(delivery = %id, event = %name, "delivery {id} ({name}): {outcome}");
            (
                StatusCode::ACCEPTED,
                Json(json!({ "delivery": id, "outcome": outcome })),
            )
                .into_response()
        }
        Err(error) => {
            tracing::error!(delivery = %id, "delivery {id} could not be written down: {error:#}");
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the delivery could not be written down; redeliver it",
            )
        }
    }
}

/// The whole body. One that says it is too large is refused before it is sent.
async fn payload(headers: &HeaderMap, body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
    let too_large = (
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is larger than 25 MB",
    );
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > PAYLOAD_LIMIT) {
        return Err(too_large);
    }
    match tokio::time::timeout(PAYLOAD_PATIENCE, to_bytes(body, PAYLOAD_LIMIT)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error))
            if error
                .source()
                .is_some_and(|source| source.is::<LengthLimitError>()) =>
        {
            Err(too_large)
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
