//! Where a container gets its credentials from: new ones each time, good for a while.
//!
//! Source: AWS SDKs and Tools reference, "Container credential provider".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Router, routing};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinHandle;

use crate::relay::serve;

/// A running source of credentials. It stops when dropped.
pub struct Credentials {
    endpoint: String,
    given: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Credentials {
    /// Starts a source whose credentials say that they expire so many seconds after they were given out.
    pub async fn start(good_for: i64) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let app = Router::new()
            .fallback(routing::get(answer))
            .with_state((Arc::clone(&given), good_for));
        let (endpoint, server) = serve(app).await;
        Self {
            endpoint,
            given,
            server,
        }
    }

    /// What `AWS_CONTAINER_CREDENTIALS_FULL_URI` is set to.
    pub fn url(&self) -> String {
        format!("{}/credentials", self.endpoint)
    }

    /// How many were given out.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State((given, good_for)): State<(Arc<AtomicUsize>, i64)>) -> impl IntoResponse {
    let number = given.fetch_add(1, Ordering::SeqCst) + 1;
    let expires = OffsetDateTime::now_utc() + Duration::seconds(good_for);
    let expires = expires.replace_nanosecond(0).expect("zero is a nanosecond");
    let body = json!({
        "AccessKeyId": format!("ASIATESTING{number:04}"),
        "SecretAccessKey": "testing",
        "Token": format!("session-{number}"),
        "Expiration": expires.format(&Rfc3339).expect("the year is within RFC 3339"),
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
}
