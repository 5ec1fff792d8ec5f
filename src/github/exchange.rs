//! One request: signed, sent, timed, and its answer or failure put into the bot's own words.
//!
//! The library signs requests and keeps the installation's token; everything after that is done here, because its
//! models are stricter than GitHub's answers and its calls do not tell "never sent" from "no answer".

use super::client::{Access, GithubClient};
use super::error::{GithubError, scrubbed};
use super::requests::Signer;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::Octocrab;
use octocrab::models::InstallationId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;

/// The largest answer that is read. The largest one GitHub sends is a tree, of up to 7 MB.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

pub(super) struct Answer {
    status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
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
    /// One try. When the installation's token is refused, the installation is looked up anew and tried once more:
    /// an App that was removed and installed again has another one.
    pub(super) async fn once(
        &self,
        signer: Signer,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GithubError> {
        let what = format!("{method} {path}");
        let (api, known) = match (&self.access, signer) {
            (Access::Token(api), _) => (Arc::clone(api), false),
            (Access::Nobody, _) => {
                let message = "nothing is known here to prove to GitHub who asks".to_owned();
                return Err(GithubError::Settings(message));
            }
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

pub(super) fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, GithubError> {
    serde_json::from_slice(body)
        .map_err(|error| GithubError::unexpected(what, scrubbed(&error.to_string())))
}
