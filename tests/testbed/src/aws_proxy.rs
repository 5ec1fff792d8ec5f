//! A way to AWS (that is, to moto) with trouble on it: one region refuses, hangs, or loses its answers.
//!
//! Which region a request is for stands in the credential scope of its signature, as AWS itself reads it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use futures::stream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsFault {
    /// This status with this AWS error code; AWS never sees the request.
    Refuse(u16, &'static str),
    /// No answer, ever; AWS never sees the request.
    Hang,
    /// AWS does it, and the connection breaks before the answer is through.
    LoseAnswer,
    /// AWS does it, and the answer never comes.
    HangAfterwards,
}

/// Which requests a fault is for.
#[derive(Clone, Debug)]
struct Rule {
    region: String,
    method: Option<Method>,
    fault: AwsFault,
    times: usize,
}

/// A running proxy. It stops when dropped.
pub struct AwsProxy {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    /// `eu-west-1 POST /2018-10-31/layers/…`, as they came.
    requests: Mutex<Vec<String>>,
}

impl AwsProxy {
    /// Starts a proxy in front of an endpoint; without faults it only passes on.
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            rules: Mutex::default(),
            requests: Mutex::default(),
        });
        let app = Router::new()
            .fallback(pass_on)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("127.0.0.1 has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let server = tokio::spawn(async move {
            axum::serve(listener, app)
                .await
                .expect("the proxy's socket stays open")
        });
        Self {
            endpoint: format!("http://{address}"),
            shared,
            server,
        }
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Spoils every request of a region until [`Self::repair`].
    pub fn fail_region(&self, region: &str, fault: AwsFault) {
        self.add(region, None, fault, usize::MAX);
    }

    /// Spoils the next publications in a region.
    pub fn fail_publishing(&self, region: &str, fault: AwsFault, times: usize) {
        self.add(region, Some(Method::POST), fault, times);
    }

    /// Takes all faults away.
    pub fn repair(&self) {
        self.rules().clear();
    }

    /// Whether every fault that was to happen a number of times has happened.
    pub fn is_through(&self) -> bool {
        self.rules()
            .iter()
            .all(|rule| rule.times == 0 || rule.times == usize::MAX)
    }

    /// How many publications were asked for in a region.
    pub fn publications(&self, region: &str) -> usize {
        let start = format!("{region} POST ");
        let requests = self.shared.requests.lock();
        requests
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|request| request.starts_with(&start) && request.ends_with("/versions"))
            .count()
    }

    fn add(&self, region: &str, method: Option<Method>, fault: AwsFault, times: usize) {
        self.rules().push(Rule {
            region: region.to_owned(),
            method,
            fault,
            times,
        });
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AwsProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// The fault for this request, should there be one; one that was counted is used up.
    fn fault(&self, region: &str, method: &Method, path: &str) -> Option<AwsFault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter_mut().find(|rule| {
            let publishes = rule.method.is_none() || path.ends_with("/versions");
            let method = rule.method.as_ref().is_none_or(|wanted| wanted == method);
            rule.region == region && rule.times > 0 && method && publishes
        })?;
        if rule.times != usize::MAX {
            rule.times -= 1;
        }
        Some(rule.fault)
    }
}

async fn pass_on(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let region = region_of(&headers);
    let path = uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    shared
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{region} {method} {path}"));
    let fault = shared.fault(&region, &method, uri.path());
    match fault {
        Some(AwsFault::Refuse(status, code)) => return refusal(status, code),
        Some(AwsFault::Hang) => tokio::time::sleep(FOR_EVER).await,
        Some(AwsFault::LoseAnswer | AwsFault::HangAfterwards) | None => {}
    }
    let mut forwarded = shared
        .client
        .request(method, format!("{}{path}", shared.upstream))
        .body(body);
    for (name, value) in &headers {
        if !matches!(name.as_str(), "host" | "content-length" | "connection") {
            forwarded = forwarded.header(name, value);
        }
    }
    let answer = forwarded.send().await.expect("AWS answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let content = answer.bytes().await.expect("the answer of AWS is whole");
    let mut response = Response::builder().status(status);
    for (name, value) in &headers {
        if !matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection"
        ) {
            response = response.header(name, value);
        }
    }
    let body = match fault {
        Some(AwsFault::HangAfterwards) => {
            tokio::time::sleep(FOR_EVER).await;
            Body::empty()
        }
        Some(AwsFault::LoseAnswer) => {
            let cut = std::io::Error::other("the connection breaks");
            Body::from_stream(stream::iter([
                Ok(content.slice(..content.len() / 2)),
                Err(cut),
            ]))
        }
        _ => Body::from(content),
    };
    response
        .body(body)
        .expect("the answer of AWS can be passed on")
}

/// `…Credential=KEY/20261101/eu-west-1/lambda/aws4_request, …`
fn region_of(headers: &HeaderMap) -> String {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    authorization
        .split("Credential=")
        .nth(1)
        .and_then(|scope| scope.split('/').nth(2))
        .unwrap_or_default()
        .to_owned()
}

fn refusal(status: u16, code: &str) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a fault has a status of HTTP"))
        .header("x-amzn-errortype", code)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"message": "the words of AWS"}"#))
        .expect("a refusal is an answer")
}
