//! A relay that counts, and at the right call cuts the power of whoever called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::task::JoinHandle;

use super::{Line, Moment, PowerCut, UnderWay};
use crate::relay::{Passing, serve};

/// A running relay. It stops when dropped.
pub struct Wire {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    line: Line,
    upstream: String,
    client: reqwest::Client,
    cut: Mutex<PowerCut>,
}

impl Wire {
    /// Starts a relay to `http://…`. A process that is started again gets a new one: what its predecessor sent and nobody
    /// read arrives at the old one, and goes nowhere.
    pub async fn start(line: Line, upstream: &str, cut: &PowerCut) -> Self {
        let shared = Arc::new(Shared {
            line,
            upstream: upstream.to_owned(),
            client: crate::local_client(),
            cut: Mutex::new(cut.clone()),
        });
        let app = Router::new()
            .fallback(relay)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let (endpoint, server) = serve(app).await;
        Self {
            endpoint,
            shared,
            server,
        }
    }

    /// Counts for another process from now on. For places that are only read, where a late call does nothing.
    pub fn switch(&self, cut: &PowerCut) {
        *self.shared.cut() = cut.clone();
    }

    /// The address to give to the process in place of the real one.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Shared {
    fn cut(&self) -> MutexGuard<'_, PowerCut> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(State(shared): State<Arc<Shared>>, passing: Passing) -> Response {
    let cut = shared.cut().clone();
    let under_way = UnderWay::new(&cut);
    // A task of its own: the server drops what it does for a caller that is gone, and what was sent is carried out.
    let work = tokio::spawn(async move {
        let _under_way = under_way;
        pass_on(&shared, &cut, passing).await
    });
    match work.await {
        Ok(Some(answer)) => answer,
        // Nobody is there to hear it.
        Ok(None) => std::future::pending().await,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn pass_on(shared: &Shared, cut: &PowerCut, passing: Passing) -> Option<Response> {
    let goes = cut.count(shared.line)?;
    if goes == Some(Moment::Before) {
        cut.go().await;
        return None;
    }
    let answer = passing.send(&shared.client, &shared.upstream).await;
    if goes == Some(Moment::After) {
        cut.go().await;
        return None;
    }
    Some(answer.map_or_else(
        |error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        crate::relay::Passed::response,
    ))
}
