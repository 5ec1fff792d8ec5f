//! A way to AWS (that is, to moto) with trouble on it: a region refuses, hangs, is slow or loses its answers, bytes are
//! spoiled, clocks go wrong, credentials expire.
//!
//! Which region a request is for stands in the credential scope of its signature, as AWS itself reads it.

mod account;
mod buckets;
mod clock;
mod credentials;
mod rules;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures::stream;
use tokio::task::JoinHandle;

use crate::relay::Passing;
use crate::support::{CuttableListener, Scissors};
pub(crate) use account::list_regions;
pub use credentials::Credentials;
use rules::Rule;
pub use rules::{AwsCall, AwsFault};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A running proxy. It stops when dropped.
pub struct AwsProxy {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    /// How far AWS is away: every call waits that long.
    latency: Duration,
    rules: Mutex<Vec<Rule>>,
    /// What `account:ListRegions` calls disabled.
    disabled: Mutex<Vec<String>>,
    /// Whether nobody may ask which regions are enabled.
    is_secretive: Mutex<bool>,
    /// When the head of the first call to AWS Lambda came, and when the last one was answered.
    busy: Mutex<Option<(Instant, Instant)>>,
    /// Region and call, as they came.
    calls: Mutex<Vec<(String, AwsCall)>>,
    /// The regions of publications whose head came, be it that the rest never did.
    begun: Mutex<Vec<String>>,
    /// Of how many parts an object was put together, by its path.
    parts: Mutex<BTreeMap<String, usize>>,
    /// Seconds that AWS' clock is ahead of this machine's; with `None` nobody looks at clocks.
    clock: Mutex<Option<i64>>,
    /// Calls that each access key was used for, and for how many it is good.
    keys: Mutex<BTreeMap<String, usize>>,
    key_lasts: Mutex<Option<usize>>,
    /// Executions that the account may have at once.
    executions: Mutex<u32>,
}

impl AwsProxy {
    /// Starts a proxy in front of an endpoint; without faults it only passes on.
    pub async fn start(upstream: &str) -> Self {
        Self::start_far(upstream, Duration::ZERO).await
    }

    /// Starts a proxy that passes every call on that much later.
    pub async fn start_far(upstream: &str, latency: Duration) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: crate::local_client(),
            latency,
            busy: Mutex::default(),
            rules: Mutex::default(),
            disabled: Mutex::default(),
            is_secretive: Mutex::default(),
            calls: Mutex::default(),
            begun: Mutex::default(),
            parts: Mutex::default(),
            clock: Mutex::default(),
            keys: Mutex::default(),
            key_lasts: Mutex::default(),
            executions: Mutex::new(1_000),
        });
        let app = Router::new()
            .fallback(pass_on)
            .layer(from_fn_with_state(Arc::clone(&shared), note_when))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let service = app.into_make_service_with_connect_info::<Scissors>();
        let (listener, address) = CuttableListener::bind().await;
        let server = tokio::spawn(async move {
            axum::serve(listener, service)
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
        self.fail_call(region, AwsCall::Publish, fault, times);
    }

    /// Spoils the next calls of one kind in a region.
    pub fn fail_call(&self, region: &str, call: AwsCall, fault: AwsFault, times: usize) {
        self.add(region, Some(call), fault, times);
    }

    /// Spoils the next calls of whatever kind in a region.
    pub fn fail_next(&self, region: &str, fault: AwsFault, times: usize) {
        self.add(region, None, fault, times);
    }

    /// From now on nobody may ask which regions the account has enabled.
    pub fn keep_regions_secret(&self) {
        *locked(&self.shared.is_secretive) = true;
    }

    /// Says of these regions, and of no others, that the account has not enabled them; each then answers as such regions do.
    pub fn disable_regions(&self, regions: &[&str]) {
        *locked(&self.shared.disabled) = regions.iter().map(ToString::to_string).collect();
    }

    /// Lets the account have so many executions at once, of which a tenth is set aside for single functions.
    pub fn limit_executions(&self, executions: u32) {
        *locked(&self.shared.executions) = executions;
    }

    /// Takes all faults away.
    pub fn repair(&self) {
        locked(&self.shared.rules).clear();
        *locked(&self.shared.clock) = None;
        *locked(&self.shared.key_lasts) = None;
    }

    /// Sets AWS' clock so many seconds ahead of this machine's: what was signed at another time is refused.
    pub fn set_clock(&self, ahead: i64) {
        *locked(&self.shared.clock) = Some(ahead);
    }

    /// Makes every access key good for so many calls; then it has expired.
    pub fn expire_keys_after(&self, calls: usize) {
        *locked(&self.shared.key_lasts) = Some(calls);
    }

    /// The access keys that were used, and for how many calls each.
    pub fn keys(&self) -> BTreeMap<String, usize> {
        locked(&self.shared.keys).clone()
    }

    /// Whether every fault that was to happen a number of times has happened.
    pub fn is_through(&self) -> bool {
        self.left().is_empty()
    }

    /// The faults that were to happen a number of times and have not: region, call, fault.
    pub fn left(&self) -> Vec<String> {
        let rules = locked(&self.shared.rules);
        let left = rules
            .iter()
            .filter(|rule| rule.times != 0 && rule.times != usize::MAX);
        left.map(|rule| format!("{} {:?} {:?}", rule.region, rule.call, rule.fault))
            .collect()
    }

    /// From when the first call to AWS Lambda came until the last one was answered; nothing when none came.
    pub fn busy(&self) -> Duration {
        locked(&self.shared.busy).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// How many publications were asked for in a region.
    pub fn publications(&self, region: &str) -> usize {
        self.calls(region, AwsCall::Publish)
    }

    /// How many publications were begun in a region, those included that were broken off before they were asked for.
    pub fn begun(&self, region: &str) -> usize {
        let begun = locked(&self.shared.begun);
        begun.iter().filter(|place| *place == region).count()
    }

    /// How many calls of one kind came for a region.
    pub fn calls(&self, region: &str, call: AwsCall) -> usize {
        let calls = locked(&self.shared.calls);
        calls
            .iter()
            .filter(|(place, kind)| place == region && *kind == call)
            .count()
    }

    fn add(&self, region: &str, call: Option<AwsCall>, fault: AwsFault, times: usize) {
        locked(&self.shared.rules).push(Rule {
            region: region.to_owned(),
            call,
            fault,
            times,
        });
    }
}

impl Drop for AwsProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// The fault for this request, should there be one; one that was counted is used up.
    fn fault(&self, region: &str, call: Option<AwsCall>) -> Option<AwsFault> {
        rules::take(&mut locked(&self.rules), region, call)
    }

    /// What AWS says to a signature whose time or key is not good.
    fn check_signature(&self, headers: &HeaderMap) -> Option<Response> {
        if let Some(ahead) = *locked(&self.clock)
            && let Some(refusal) = clock::check(headers, ahead)
        {
            return Some(refusal);
        }
        let mut keys = locked(&self.keys);
        let used = keys.entry(scope(headers, 0)).or_default();
        *used += 1;
        let is_expired = locked(&self.key_lasts).is_some_and(|lasts| *used > lasts);
        is_expired.then(|| refusal(403, "ExpiredTokenException"))
    }
}

async fn note_when(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let is_lambda = scope(request.headers(), 3) == "lambda";
    let came = Instant::now();
    if is_lambda && AwsCall::of("lambda", request.method(), request.uri()) == Some(AwsCall::Publish)
    {
        locked(&shared.begun).push(region_of(request.headers()));
    }
    let response = next.run(request).await;
    if is_lambda {
        let mut busy = locked(&shared.busy);
        let first = busy.map_or(came, |(first, _)| first.min(came));
        *busy = Some((first, Instant::now()));
    }
    response
}

async fn pass_on(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let (region, service) = (region_of(&headers), scope(&headers, 3));
    let call = AwsCall::of(&service, &method, &uri);
    if let Some(call) = call {
        locked(&shared.calls).push((region.clone(), call));
    }
    let refusal = if service == "s3" {
        buckets::refusal
    } else {
        refusal
    };
    if let Some(refused) = shared.check_signature(&headers) {
        return refused;
    }
    let disabled = locked(&shared.disabled).clone();
    let asks_for_regions = uri.path() == "/listRegions" || service == "ec2";
    if asks_for_regions && *locked(&shared.is_secretive) {
        return refusal(403, "AccessDeniedException");
    }
    if uri.path() == "/listRegions" {
        return list_regions(&disabled);
    }
    if uri.path().trim_end_matches('/') == "/2016-08-19/account-settings" {
        return account::settings(*locked(&shared.executions));
    }
    if disabled.contains(&region) {
        return refusal(403, "UnrecognizedClientException");
    }
    let path = uri.path().to_owned();
    if call == Some(AwsCall::CompleteUpload) {
        locked(&shared.parts).insert(path.clone(), buckets::parts(&body));
    }
    let mut passing = Passing {
        method,
        uri,
        headers,
        body,
    };
    let fault = shared.fault(&region, call);
    match fault {
        Some(AwsFault::Refuse(status, code)) => return refusal(status, code),
        Some(AwsFault::Hang) => tokio::time::sleep(FOR_EVER).await,
        Some(AwsFault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(AwsFault::Late(delay) | AwsFault::LateAfterReset(delay)) => {
            tokio::spawn(pass_on_late(passing, delay, Arc::clone(&shared)));
            if fault == Some(AwsFault::Late(delay)) {
                tokio::time::sleep(FOR_EVER).await;
            }
            scissors.cut();
            return Response::new(Body::empty());
        }
        Some(AwsFault::Reset) => {
            scissors.cut();
            return Response::new(Body::empty());
        }
        Some(AwsFault::Spoil) => buckets::spoil(&mut passing),
        Some(
            AwsFault::RefuseAfterwards(..)
            | AwsFault::LoseAnswer
            | AwsFault::HangAfterwards
            | AwsFault::OtherChecksum,
        )
        | None => {}
    }
    let answer = passing.send(&shared.client, &shared.upstream).await;
    let mut answer = answer.expect("AWS answers");
    if let (Some(AwsCall::HeadObject), Some(parts)) = (call, locked(&shared.parts).get(&path)) {
        buckets::tell_parts(&mut answer, *parts);
    }
    if fault == Some(AwsFault::OtherChecksum) {
        buckets::tell_another_checksum(&mut answer);
    }
    if let Some(ahead) = *locked(&shared.clock) {
        answer.headers.insert(header::DATE, clock::date(ahead));
    }
    let body = match fault {
        Some(AwsFault::RefuseAfterwards(status, code)) => return refusal(status, code),
        Some(AwsFault::HangAfterwards) => {
            tokio::time::sleep(FOR_EVER).await;
            Body::empty()
        }
        Some(AwsFault::LoseAnswer) => {
            let cut = std::io::Error::other("the connection breaks");
            Body::from_stream(stream::iter([
                Ok(answer.body.slice(..answer.body.len() / 2)),
                Err(cut),
            ]))
        }
        _ => Body::from(answer.body.clone()),
    };
    let length = answer.headers.get(header::CONTENT_LENGTH).cloned();
    let mut response = answer.with_body(body);
    if let (Some(AwsCall::HeadObject), Some(length)) = (call, length) {
        // Of the object, which the answer leaves out.
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
    }
    response
}

async fn pass_on_late(passing: Passing, delay: Duration, shared: Arc<Shared>) {
    tokio::time::sleep(delay).await;
    let answer = passing.send(&shared.client, &shared.upstream).await;
    answer.expect("AWS answers");
}

/// The region of `…Credential=KEY/20261101/eu-west-1/lambda/aws4_request, …`
pub(crate) fn region_of(headers: &HeaderMap) -> String {
    scope(headers, 2)
}

/// A part of the credential scope: the key, the day, the region.
pub(crate) fn scope(headers: &HeaderMap, part: usize) -> String {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    authorization
        .split("Credential=")
        .nth(1)
        .and_then(|scope| scope.split('/').nth(part))
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
