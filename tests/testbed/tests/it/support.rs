//! A bot that knows nothing: raw requests to the double, and a hook that keeps what it is sent.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use layersmith_testbed::github::{GithubDouble, GithubOptions};
use serde_json::{Value, json};

/// A double with one repository, and a client with a token.
pub(crate) struct Bench {
    pub(crate) double: GithubDouble,
    pub(crate) token: String,
}

pub(crate) const REQUEST_FILE: &str = "layers/requests.yaml";

impl Bench {
    /// With an installation token.
    pub(crate) async fn start() -> Self {
        Self::with(GithubOptions::default()).await
    }

    pub(crate) async fn with(options: GithubOptions) -> Self {
        let double = GithubDouble::start(options).await;
        double
            .create_repository(
                "octo/layers",
                [
                    ("README.md", "# Layers\n"),
                    ("layers/numpy.yaml", "packages: [numpy]\n"),
                ],
            )
            .await;
        let mut bench = Self {
            double,
            token: String::new(),
        };
        let (status, answer) = bench.create_token(json!({})).await;
        assert_eq!(status, 201, "{answer}");
        bench.token = answer["token"].as_str().unwrap().to_owned();
        bench
    }

    pub(crate) async fn create_token(&self, body: Value) -> (u16, Value) {
        let path = format!(
            "/app/installations/{}/access_tokens",
            self.double.installation_id()
        );
        self.send_as(&assertion(&self.double, 0, 300), "POST", &path, Some(body))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send_as(&self.token, "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send_as(&self.token, "POST", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        self.send_as(&self.token, "PATCH", path, Some(body)).await
    }

    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let response = self.try_send(token, method, path, body).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn try_send(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", self.double.url());
        let mut request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .header("user-agent", "test");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        request.send().await
    }

    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.double.violations(), Vec::<String>::new());
    }
}

/// A JSON Web Token of the App: issued and ending so many seconds from now.
pub(crate) fn assertion(double: &GithubDouble, issued: i64, ends: i64) -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims =
        json!({"iss": double.app_id().to_string(), "iat": now + issued, "exp": now + ends});
    let key = EncodingKey::from_rsa_pem(double.app_private_key_pem().as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// One delivery as it arrived.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) payload: Value,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// `pull_request opened`.
    pub(crate) fn name(&self) -> String {
        format!(
            "{} {}",
            self.header("x-github-event"),
            self.payload["action"].as_str().unwrap_or_default()
        )
        .trim()
        .to_owned()
    }
}

type Inbox = Arc<Mutex<Vec<Arrived>>>;

/// A receiver of web hooks that answers 202.
pub(crate) struct Receiver {
    pub(crate) url: String,
    inbox: Inbox,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let inbox = Inbox::default();
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&inbox));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inbox }
    }

    pub(crate) fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.inbox.lock().unwrap())
    }

    pub(crate) fn take_names(&self) -> Vec<String> {
        self.take().iter().map(Arrived::name).collect()
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let payload = serde_json::from_slice(&raw).unwrap();
    inbox.lock().unwrap().push(Arrived {
        headers,
        raw,
        payload,
    });
    StatusCode::ACCEPTED
}
