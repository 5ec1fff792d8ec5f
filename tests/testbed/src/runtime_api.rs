//! Lambda's Runtime API as one environment of a function sees it: it hands out one invocation, and hears what came of it.
//!
//! [`crate::cloud`] has whole stacks of functions; this is for one process that a test starts where it likes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::relay::serve;

/// The version of the interface, which its paths begin with (AWS Lambda developer guide, "Using the Lambda runtime API").
const VERSION: &str = "/2018-06-01/runtime";
const REQUEST: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
/// How long the invocation may take, as its deadline says.
const LIMIT: Duration = Duration::from_secs(900);

/// What a function made of its invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// It answered this.
    Response(Value),
    /// It failed, in these words.
    Error(Value),
    /// It could not start, in these words.
    NotStarted(Value),
}

/// A running Runtime API. It stops when dropped.
pub struct RuntimeApi {
    url: String,
    answers: watch::Receiver<Option<Answered>>,
    server: JoinHandle<()>,
}

struct Shared {
    /// What is handed out, once.
    event: Mutex<Option<Value>>,
    /// What the function is called.
    arn: String,
    answers: watch::Sender<Option<Answered>>,
}

impl RuntimeApi {
    /// Starts one that invokes the function of this ARN with an event.
    pub async fn start(arn: &str, event: Value) -> Self {
        let (sender, answers) = watch::channel(None);
        let shared = Arc::new(Shared {
            event: Mutex::new(Some(event)),
            arn: arn.to_owned(),
            answers: sender,
        });
        let app = Router::new()
            .route(&format!("{VERSION}/invocation/next"), get(next))
            .route(
                &format!("{VERSION}/invocation/{{request}}/{{kind}}"),
                post(ended),
            )
            .route(&format!("{VERSION}/init/error"), post(not_started))
            .with_state(shared);
        let (url, server) = serve(app).await;
        Self {
            url,
            answers,
            server,
        }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is set to.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Waits until the function said what came of the invocation.
    pub async fn answered(&self) -> Answered {
        let mut answers = self.answers.clone();
        let answered = answers
            .wait_for(Option::is_some)
            .await
            .expect("the server lives as long as this");
        answered.clone().expect("there is one")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The one invocation; whoever asks for another waits for ever, as it does while nobody calls.
async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let event = {
        let mut event = shared.event.lock().unwrap_or_else(PoisonError::into_inner);
        event.take()
    };
    let Some(event) = event else {
        return std::future::pending().await;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Response::builder()
        .header("lambda-runtime-aws-request-id", REQUEST)
        .header(
            "lambda-runtime-deadline-ms",
            (now + LIMIT).as_millis().to_string(),
        )
        .header("lambda-runtime-invoked-function-arn", &shared.arn)
        .header("content-type", "application/json")
        .body(event.to_string().into())
        .expect("an invocation is an answer")
}

async fn ended(
    State(shared): State<Arc<Shared>>,
    Path((request, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    if request != REQUEST {
        return StatusCode::BAD_REQUEST;
    }
    let said = said(&body);
    shared.answers.send_replace(Some(match kind.as_str() {
        "response" => Answered::Response(said),
        _ => Answered::Error(said),
    }));
    StatusCode::ACCEPTED
}

async fn not_started(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let answered = Answered::NotStarted(said(&body));
    shared.answers.send_replace(Some(answered));
    StatusCode::ACCEPTED
}

/// JSON, or the text that it is instead.
fn said(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}
