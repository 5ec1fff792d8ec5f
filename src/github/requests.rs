//! Reads and writes: when they are tried again, how lists are read page by page, and how writes are spaced.

use super::client::GithubClient;
use super::error::GithubError;
use super::exchange::{Answer, parse};
use crate::telemetry::milliseconds;
use backon::{ExponentialBuilder, Retryable};
use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// How often a request is tried again.
const RETRIES: usize = 4;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How many items GitHub puts on a page at most.
const PAGE: usize = 100;
/// How many pages are read at most.
const PAGES: usize = 100;

/// Who signs a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signer {
    /// The App itself; with a token, the token.
    App,
    /// The App's installation on the repository; with a token, the token.
    Installation,
}

/// Whether 404 may just mean "not yet": GitHub's API can lag behind the webhook that told of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    MayLag,
    Settled,
}

/// When a write may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is the same as doing it once.
    Safe,
    /// Doing it twice would show: only when GitHub certainly did not do it.
    OnlyIfUndone,
}

/// Lets writes through one at a time; holds the earliest moment for the next one.
#[derive(Debug, Default)]
pub(super) struct WriteGate(Option<Instant>);

impl GithubClient {
    /// A GET with retries.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        freshness: Freshness,
    ) -> Result<T, GithubError> {
        Ok(self
            .read_answer(Signer::Installation, path, freshness)
            .await?
            .0)
    }

    /// A query of GraphQL, which is read as a GET is.
    pub(super) async fn query<T: DeserializeOwned>(&self, body: &Value) -> Result<T, GithubError> {
        let answer = self
            .read_patiently(
                Signer::Installation,
                &Method::POST,
                "/graphql",
                Some(body),
                Freshness::Settled,
            )
            .await?;
        parse("POST /graphql", &answer.body)
    }

    /// The same without retries.
    pub(super) async fn query_once<T: DeserializeOwned>(
        &self,
        body: &Value,
    ) -> Result<T, GithubError> {
        let query = self.once(Signer::Installation, &Method::POST, "/graphql", Some(body));
        parse("POST /graphql", &query.await?.body)
    }

    /// A GET with retries, signed by the App itself.
    pub(super) async fn read_as_app<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<T, GithubError> {
        Ok(self
            .read_answer(Signer::App, path, Freshness::Settled)
            .await?
            .0)
    }

    /// Reads a list page by page until `found` makes something of a page, or the list ends.
    pub(super) async fn search_pages<T: DeserializeOwned, R>(
        &self,
        path: &str,
        mut found: impl FnMut(Vec<T>) -> Option<R>,
    ) -> Result<Option<R>, GithubError> {
        let glue = if path.contains('?') { '&' } else { '?' };
        for page in 1..=PAGES {
            let path = format!("{path}{glue}per_page={PAGE}&page={page}");
            let (items, headers): (Vec<T>, _) = self
                .read_answer(Signer::Installation, &path, Freshness::Settled)
                .await?;
            let more = items.len() >= PAGE || names_next_page(&headers);
            if let Some(result) = found(items) {
                return Ok(Some(result));
            }
            if !more {
                return Ok(None);
            }
        }
        Err(GithubError::unexpected(
            path,
            format!("more than {PAGES} pages"),
        ))
    }

    /// A GET with retries, and the headers of its answer.
    pub(super) async fn read_answer<T: DeserializeOwned>(
        &self,
        signer: Signer,
        path: &str,
        freshness: Freshness,
    ) -> Result<(T, HeaderMap), GithubError> {
        let answer = self
            .read_patiently(signer, &Method::GET, path, None, freshness)
            .await?;
        Ok((parse(&format!("GET {path}"), &answer.body)?, answer.headers))
    }

    /// A request that changes nothing, with retries.
    async fn read_patiently(
        &self,
        signer: Signer,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        freshness: Freshness,
    ) -> Result<Answer, GithubError> {
        let longest = self.settings.longest_wait;
        (|| self.once(signer, method, path, body))
            .retry(self.backoff())
            .when(|error| {
                error.is_transient() || (freshness == Freshness::MayLag && error.is_not_found())
            })
            .adjust(|error, pause| match error {
                GithubError::RateLimited { wait, .. } if *wait > longest => None,
                GithubError::RateLimited { wait, .. } => pause.map(|pause| pause.max(*wait)),
                _ => pause,
            })
            .notify(log_retry)
            .await
    }

    /// A write, after the pause GitHub asks for.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<T, GithubError> {
        self.write_as(Signer::Installation, method, path, Some(body), repeat)
            .await
    }

    /// The same for whoever signs, and for writes that have no body.
    pub(super) async fn write_as<T: DeserializeOwned>(
        &self,
        signer: Signer,
        method: Method,
        path: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<T, GithubError> {
        let longest = self.settings.longest_wait;
        let answer = (|| self.once_through_the_gate(signer, &method, path, body))
            .retry(self.backoff())
            .when(|error| match error {
                GithubError::RateLimited { wait, .. } => *wait <= longest,
                _ => error.is_transient() && (repeat == Repeat::Safe || !error.may_have_happened()),
            })
            .notify(log_retry)
            .await?;
        parse(&format!("{method} {path}"), &answer.body)
    }

    async fn once_through_the_gate(
        &self,
        signer: Signer,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GithubError> {
        let mut gate = self.gate.lock().await;
        if let Some(earliest) = gate.0 {
            tokio::time::sleep_until(earliest).await;
        }
        let result = self.once(signer, method, path, body).await;
        // A rate limit counts for everybody who writes.
        let pause = match &result {
            Err(GithubError::RateLimited { wait, .. }) if *wait <= self.settings.longest_wait => {
                self.settings.write_interval.max(*wait)
            }
            _ => self.settings.write_interval,
        };
        gate.0 = Some(Instant::now() + pause);
        result
    }

    pub(super) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.settings.retry_delay)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
    }
}

/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>
fn names_next_page(headers: &HeaderMap) -> bool {
    let links = headers
        .get(header::LINK)
        .and_then(|value| value.to_str().ok());
    links.is_some_and(|links| links.contains("rel=\"next\""))
}

fn log_retry(error: &GithubError, pause: Duration) {
    let pause = milliseconds(pause);
    tracing::warn!(pause, "{error}; trying again in {pause} ms");
}
