//! Single requests: sent, timed, tried again when that is safe, and read into the bot's own types.
//!
//! The library signs requests and keeps the installation's token; everything after that is done here, because its
//! models are stricter than GitHub's answers and its calls do not tell "never sent" from "no answer".

use super::client::{Access, GithubClient};
use super::error::{GithubError, scrubbed};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::Octocrab;
use octocrab::models::InstallationId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The largest answer that is read. The largest one GitHub sends is a tree, of up to 7 MB.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;
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

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

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

    async fn read_answer<T: DeserializeOwned>(
        &self,
        signer: Signer,
        path: &str,
        freshness: Freshness,
    ) -> Result<(T, HeaderMap), GithubError> {
        let longest = self.settings.longest_wait;
        let answer = (|| self.once(signer, &Method::GET, path, None))
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
            .await?;
        Ok((parse(&format!("GET {path}"), &answer.body)?, answer.headers))
    }

    /// A write, after the pause GitHub asks for.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<T, GithubError> {
        let longest = self.settings.longest_wait;
        let answer = (|| self.once_through_the_gate(&method, path, body))
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
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, GithubError> {
        let mut gate = self.gate.lock().await;
        if let Some(earliest) = gate.0 {
            tokio::time::sleep_until(earliest).await;
        }
        let result = self
            .once(Signer::Installation, method, path, Some(body))
            .await;
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

    /// One try. When the installation's token is refused, the installation is looked up anew and tried once more:
    /// an App that was removed and installed again has another one.
    async fn once(
        &self,
        signer: Signer,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GithubError> {
        let what = format!("{method} {path}");
        let (api, known) = match (&self.access, signer) {
            (Access::Token(api), _) => (Arc::clone(api), false),
            (Access::App { app, .. }, Signer::App) => {
                return self
                    .send(app, &what, method, path, body)
                    .await
                    .map_err(Failure::into_error);
            }
            (Access::App { app, .. }, Signer::Installation) => self.installation(app).await?,
        };
        match self.send(&api, &what, method, path, body).await {
            Ok(answer) => Ok(answer),
            Err(Failure::NoToken(error)) => {
                let Access::App {
                    app, installation, ..
                } = &self.access
                else {
                    return Err(error);
                };
                *installation.lock().await = None;
                if !known || error.is_transient() {
                    return Err(error);
                }
                let (api, _) = self.installation(app).await?;
                let again = self.send(&api, &what, method, path, body).await;
                again.map_err(Failure::into_error)
            }
            Err(Failure::Request(error)) => Err(error),
        }
    }

    /// The client that signs for the App's installation on the repository, and whether it was known before.
    async fn installation(&self, app: &Octocrab) -> Result<(Arc<Octocrab>, bool), GithubError> {
        let Access::App { installation, .. } = &self.access else {
            return Err(GithubError::Settings("there is no App".to_owned()));
        };
        let mut slot = installation.lock().await;
        if let Some(api) = slot.as_ref() {
            return Ok((Arc::clone(api), true));
        }
        let path = self.path("installation");
        let what = format!("GET {path}");
        let answer = self.send(app, &what, &Method::GET, &path, None).await;
        let answer = answer.map_err(|failure| match failure.into_error() {
            GithubError::NotFound { what } => GithubError::Unauthorized {
                what,
                message: format!("the App is not installed on {}", self.settings.repository),
            },
            // The request that needs the installation was not sent.
            error => error.unsent(),
        })?;
        let found: Installation = parse(&what, &answer.body)?;
        let api = app
            .installation_builder(InstallationId(found.id))
            .repositories(vec![self.settings.repository.name().to_owned()])
            .build()
            .map_err(|error| GithubError::unexpected(&what, error_text(&error)))?;
        let api = Arc::new(api);
        *slot = Some(Arc::clone(&api));
        Ok((api, false))
    }

    async fn send(
        &self,
        api: &Octocrab,
        what: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let request = http::request::Builder::new().method(method).uri(path);
        let request = api
            .build_request(request, body)
            .map_err(|error| Failure::Request(GithubError::unexpected(what, error_text(&error))))?;
        let exchange = async {
            let response = api
                .execute(request)
                .await
                .map_err(|error| failure(what, &error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| Failure::Request(broken_off(what, error.as_ref())))?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        let limit = self.settings.request_timeout;
        let answer = tokio::time::timeout(limit, exchange).await.map_err(|_| {
            Failure::Request(GithubError::Unreachable {
                what: what.to_owned(),
                message: format!("nothing within {} s", limit.as_secs_f64()),
                sent: true,
            })
        })??;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let message = refusal_text(&answer.body);
        let error = GithubError::from_answer(what, answer.status, &answer.headers, &message);
        Err(Failure::Request(error))
    }
}

enum Failure {
    /// GitHub gave the installation no token, so the request itself was not sent.
    NoToken(GithubError),
    Request(GithubError),
}

impl Failure {
    fn into_error(self) -> GithubError {
        match self {
            Self::NoToken(error) | Self::Request(error) => error,
        }
    }
}

impl GithubError {
    fn unsent(self) -> Self {
        match self {
            Self::Unreachable { what, message, .. } => Self::Unreachable {
                what,
                message,
                sent: false,
            },
            other => other,
        }
    }
}

fn failure(what: &str, error: &octocrab::Error) -> Failure {
    match error {
        // The library turns answers into errors only for the token it fetches by itself.
        octocrab::Error::GitHub { source, .. } => {
            let headers = source.headers.clone().unwrap_or_default();
            let error =
                GithubError::from_answer(what, source.status_code, &headers, &source.message);
            Failure::NoToken(match error {
                GithubError::NotFound { what } => GithubError::Unauthorized {
                    what,
                    message: "the App's installation is gone".to_owned(),
                },
                error => error.unsent(),
            })
        }
        octocrab::Error::JWT { .. } => Failure::Request(GithubError::Unauthorized {
            what: what.to_owned(),
            message: "the App's private key does not sign".to_owned(),
        }),
        octocrab::Error::Service { .. } | octocrab::Error::Hyper { .. } => {
            Failure::Request(GithubError::Unreachable {
                what: what.to_owned(),
                message: error_text(error),
                sent: !never_connected(error),
            })
        }
        other => Failure::Request(GithubError::unexpected(what, error_text(other))),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn never_connected(error: &octocrab::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}

/// An error and its causes on one line. Neither the library's nor hyper's hold headers.
fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    scrubbed(&parts.join(": "))
}

fn broken_off(what: &str, error: &(dyn Error + Send + Sync + 'static)) -> GithubError {
    if error.is::<LengthLimitError>() {
        return GithubError::unexpected(what, format!("more than {ANSWER_LIMIT} bytes"));
    }
    GithubError::Unreachable {
        what: what.to_owned(),
        message: error_text(error),
        sent: true,
    }
}

/// GitHub's words: `message`, and `errors` where there are some.
fn refusal_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { message, errors }) => {
            let message = message.unwrap_or_default();
            match errors {
                Value::Null => message,
                errors => format!("{message} {errors}"),
            }
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, GithubError> {
    serde_json::from_slice(body)
        .map_err(|error| GithubError::unexpected(what, scrubbed(&error.to_string())))
}

/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>
fn names_next_page(headers: &HeaderMap) -> bool {
    let links = headers
        .get(header::LINK)
        .and_then(|value| value.to_str().ok());
    links.is_some_and(|links| links.contains("rel=\"next\""))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape of the callback is the retry library's"
)]
fn log_retry(error: &GithubError, pause: Duration) {
    let pause = pause.as_millis();
    tracing::warn!(pause, "{error}; trying again in {pause} ms");
}
