//! HTTP: the webhook intake, the Klayers-compatible read API, a page to find a layer, health and metrics.
//!
//! Deliberately absent: doing anything about an event. The intake checks the signature, writes the delivery down and
//! answers; whoever holds the other end of `wake` does the rest. Nothing here knows which store is behind the trait.

mod api;
mod app_registration;
mod health;
mod inside;
mod intake;
mod pages;

pub use app_registration::{AppRegistration, receive_code};

use crate::model::RepositoryName;
use crate::model::Timestamp;
use crate::store::Store;
use crate::telemetry::Counters;
use async_trait::async_trait;
use axum::Router;
use axum::routing::{get, post};
use secrecy::SecretString;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Tells whoever handles events that there is one.
#[async_trait]
pub trait Wake: Send + Sync {
    /// Does so; a try that fails is an entry of the log, because whoever handles events looks from time to time anyway.
    async fn wake(&self);
}

/// In this process.
#[async_trait]
impl Wake for Notify {
    async fn wake(&self) {
        self.notify_one();
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The bot's memory.
    pub store: Arc<dyn Store>,
    /// The catalog repository that is served; without one there is no intake.
    pub repository: Option<RepositoryName>,
    /// Secrets that a webhook may be signed with.
    pub webhook_secrets: Arc<[SecretString]>,
    /// Tells whoever handles events that there is one.
    pub wake: Arc<dyn Wake>,
    /// What happened since the process began, for `/metrics`.
    pub counters: Counters,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Every route of the contract.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/webhooks/github", post(intake::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/", get(pages::index))
        .route("/layers/{layer}", get(pages::layer))
        .merge(api::routes())
        .fallback(pages::not_found)
        .with_state(state)
}

/// Serves until `shutdown` is done; requests under way are finished first.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown)
        .await
}
