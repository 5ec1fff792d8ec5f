//! Passing a request of HTTP on to somebody else, and the answer back, as they are.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request, whole.
#[derive(Clone)]
pub(crate) struct Passing {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// One answer, whole.
pub(crate) struct Passed {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Passing {
    type Rejection = BytesRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        Ok(Self {
            method,
            uri,
            headers,
            body: Bytes::from_request(request, state).await?,
        })
    }
}

impl Passing {
    /// Path and query, as they came.
    pub(crate) fn path(&self) -> String {
        let path = self.uri.path_and_query();
        path.map_or_else(String::new, ToString::to_string)
    }

    /// Sends it to `http://…` and waits for the whole answer.
    pub(crate) async fn send(
        self,
        client: &reqwest::Client,
        upstream: &str,
    ) -> reqwest::Result<Passed> {
        let path = self.path();
        let mut request = client
            .request(self.method, format!("{upstream}{path}"))
            .body(self.body);
        for (name, value) in &self.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "connection") {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        Ok(Passed {
            status,
            headers,
            body,
        })
    }
}

impl Passed {
    /// The answer with another body in its place.
    pub(crate) fn with_body(&self, body: Body) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            if !matches!(
                name.as_str(),
                "content-length" | "transfer-encoding" | "connection"
            ) {
                response = response.header(name, value);
            }
        }
        response
            .body(body)
            .expect("an answer that came can be passed on")
    }

    /// The answer as it came.
    pub(crate) fn response(self) -> Response {
        let body = Body::from(self.body.clone());
        self.with_body(body)
    }
}

/// Serves on a free port of 127.0.0.1; answers its address, `http://127.0.0.1:PORT`, and the task that serves.
pub(crate) async fn serve(app: axum::Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("127.0.0.1 has a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let server = tokio::spawn(async move {
        axum::serve(listener, app)
            .await
            .expect("a bound socket stays open")
    });
    (format!("http://{address}"), server)
}
