//! The server's router behind a function's URL.

use crate::server::{AppState, router};

pub(super) async fn run(state: AppState) -> anyhow::Result<()> {
    lambda_http::run(router(state))
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
}
