//! A small HTTP server that answers from a script and writes down what it was asked.

use crate::github::{GithubAuth, GithubClient, GithubSettings};
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    pub(super) authorization: String,
    pub(super) body: Value,
}

/// What to answer: status, headers, JSON. A status of 0 means: never answer.
pub(super) struct Reply(
    pub(super) u16,
    pub(super) Vec<(&'static str, String)>,
    pub(super) Value,
);

pub(super) fn ok(body: Value) -> Reply {
    Reply(200, Vec::new(), body)
}

pub(super) fn status(status: u16) -> Reply {
    Reply(status, Vec::new(), json!({ "message": "No" }))
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

/// Stops with the runtime of its test.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// The script is called with every request, one at a time.
    pub(super) async fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let seen = Arc::clone(&asked);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = Asked {
                method: method.to_string(),
                path: uri.to_string(),
                authorization: headers
                    .get("authorization")
                    .map_or_else(String::new, |value| value.to_str().unwrap().to_owned()),
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            seen.lock().unwrap().push(request.clone());
            let reply = (script.lock().unwrap())(&request);
            async move { respond(reply).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked }
    }

    /// Every request so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `METHOD path` of every request so far.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |asked: &Asked| format!("{} {}", asked.method, asked.path);
        self.asked().iter().map(line).collect()
    }

    /// How many requests have this method.
    pub(super) fn count(&self, method: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.method == method)
            .count()
    }

    /// A client with a token.
    pub(super) fn client(&self) -> GithubClient {
        GithubClient::new(self.settings(GithubAuth::Token("a-token".into()))).unwrap()
    }

    /// A client that is an App; the script has to know about its installation: see [`app_routes`].
    pub(super) fn app_client(&self) -> GithubClient {
        GithubClient::new(self.settings(GithubAuth::App {
            app_id: APP_ID,
            private_key: private_key().into(),
        }))
        .unwrap()
    }

    pub(super) fn settings(&self, auth: GithubAuth) -> GithubSettings {
        GithubSettings {
            api_url: self.url.clone(),
            write_interval: Duration::ZERO,
            retry_delay: Duration::from_millis(1),
            ..GithubSettings::new("octocat/catalog".parse().unwrap(), auth)
        }
    }
}

async fn respond(Reply(status, headers, body): Reply) -> Response {
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let mut response = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

pub(super) const APP_ID: u64 = 77;

/// What an App asks before anything else: its installation, a token, its name.
pub(super) fn app_routes(asked: &Asked) -> Option<Reply> {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/repos/octocat/catalog/installation") => Some(ok(json!({ "id": 5 }))),
        ("POST", "/app/installations/5/access_tokens") => Some(Reply(
            201,
            Vec::new(),
            json!({ "token": "ghs_installation", "expires_at": "2099-01-01T00:00:00Z", "permissions": {} }),
        )),
        ("GET", "/app") => Some(ok(json!({ "id": APP_ID, "slug": "layersmith" }))),
        _ => None,
    }
}

/// A key made for this test run.
fn private_key() -> String {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine;
    static KEY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        )
    })
    .clone()
}
