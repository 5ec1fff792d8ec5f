//! A server that answers with what the test says, for what moto never does.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One answer: status, error code (as AWS sends it, in a header) and body.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    status: u16,
    code: Option<&'static str>,
    body: String,
}

impl Answer {
    pub(super) fn body(&self) -> &str {
        &self.body
    }
}

/// An answer without an error.
pub(super) fn ok(body: &Value) -> Answer {
    Answer {
        status: 200,
        code: None,
        body: body.to_string(),
    }
}

/// An error as AWS Lambda sends it.
pub(super) fn error(status: u16, code: &'static str) -> Answer {
    Answer {
        status,
        code: Some(code),
        body: r#"{"Type":"User","message":"the words of AWS"}"#.to_owned(),
    }
}

/// An answer that is not JSON.
pub(super) fn text(body: &str) -> Answer {
    Answer {
        status: 200,
        code: None,
        body: body.to_owned(),
    }
}

/// An error of something between here and AWS, which knows nothing of its codes.
pub(super) fn page(status: u16) -> Answer {
    Answer {
        status,
        code: None,
        body: "<html>no</html>".to_owned(),
    }
}

/// A request that came in, less its body.
type Seen = (String, Value);

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
}

/// The server; answers in order, the last one again and again.
pub(super) struct Scripted {
    script: Arc<Mutex<Script>>,
    pub(super) url: String,
}

impl Scripted {
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into_iter().collect(),
            seen: Vec::new(),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { script, url }
    }

    /// Method and path with query, and the JSON body, of everything that was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    script.seen.push((format!("{method} {uri}"), body));
    let answer = if script.answers.len() > 1 {
        script.answers.pop_front()
    } else {
        script.answers.front().cloned()
    };
    let answer = answer.expect("a script has at least one answer");
    let mut headers = HeaderMap::new();
    if let Some(code) = answer.code {
        headers.insert("x-amzn-errortype", code.parse().unwrap());
    }
    let status = StatusCode::from_u16(answer.status).unwrap();
    (status, headers, answer.body).into_response()
}
