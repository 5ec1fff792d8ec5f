//! The one way in: invocations go to the functions with Lambda's manners, everything else goes to AWS (that is, to moto).
//!
//! moto's Step Functions calls Lambda here, the functions call AWS here, and what they are invoked with comes from here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::calls::{self, Call};
use super::deaths::{Death, Deaths};
use super::instances::{self, Instances};
use crate::relay::{Passed, Passing, serve};

/// The largest that Step Functions hands on, to a function and from it: 256 KiB.
const STATE_LIMIT: usize = 262_144;
/// The largest that Lambda takes and gives.
const PAYLOAD_LIMIT: usize = 6 * 1_024 * 1_024;
/// How often an event is tried again, as Lambda does by default; AWS waits minutes.
const EVENT_RETRIES: usize = 2;
const EVENT_DELAY: Duration = Duration::from_millis(200);
/// Who calls when it is moto's Step Functions: the access key that it signs with.
const STATE_MACHINES: &str = "ak";

/// Somebody asked for a function.
#[derive(Clone, Debug)]
pub struct Invoke {
    pub function: String,
    pub payload: Value,
    /// Whether nobody waits for the answer.
    pub is_event: bool,
    /// Whether Step Functions asked.
    pub is_step: bool,
}

pub(super) struct Door {
    pub(super) address: String,
    pub(super) shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What all requests know.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    /// `http://…` of moto, or of what is in front of it; set once it listens.
    pub(super) aws: Mutex<String>,
    /// `http://…` of `cargo lambda watch`; set once it listens.
    pub(super) functions: Mutex<String>,
    /// What a function is called in AWS → as a program; and how long it may take.
    pub(super) names: Mutex<BTreeMap<String, String>>,
    pub(super) timeouts: Mutex<BTreeMap<String, Duration>>,
    pub(super) client: reqwest::Client,
    pub(super) instances: Instances,
    pub(super) deaths: Deaths,
    /// What Lambda says of each function, by its name in AWS.
    pub(super) configurations: Mutex<BTreeMap<String, Value>>,
    /// Functions that are asked for too often: how many of the next invocations are refused.
    throttled: Mutex<BTreeMap<String, usize>>,
    pub(super) invokes: Mutex<Vec<Invoke>>,
    pub(super) calls: Mutex<Vec<Call>>,
    /// What AWS would not have let through.
    pub(super) violations: Mutex<Vec<String>>,
    under_way: Mutex<usize>,
}

impl Door {
    /// Listens; what is behind it is named later.
    pub(super) async fn open(folder: PathBuf) -> Self {
        let shared = Arc::new(Shared {
            folder,
            aws: Mutex::default(),
            functions: Mutex::default(),
            names: Mutex::default(),
            timeouts: Mutex::default(),
            client: crate::local_client(),
            instances: Instances::default(),
            deaths: Deaths::default(),
            configurations: Mutex::default(),
            throttled: Mutex::default(),
            invokes: Mutex::default(),
            calls: Mutex::default(),
            violations: Mutex::default(),
            under_way: Mutex::default(),
        });
        let app = Router::new()
            .fallback(enter)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let (url, server) = serve(app).await;
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            shared,
            server,
        }
    }

    pub(super) fn port(&self) -> u16 {
        let port = self.address.rsplit(':').next();
        port.and_then(|port| port.parse().ok())
            .expect("an address has a port")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// How many invocations are under way or wait, events that are tried again included.
    pub(super) fn under_way(&self) -> usize {
        *locked(&self.under_way)
    }

    pub(super) fn throttle(&self, function: &str, times: usize) {
        locked(&self.throttled).insert(function.to_owned(), times);
    }

    /// How many invocations are still to be refused.
    pub(super) fn throttles_left(&self) -> usize {
        locked(&self.throttled).values().sum()
    }

    /// The program of a function that is named, or of an ARN.
    fn program(&self, name: &str) -> Option<String> {
        let name = name.split(":function:").last()?;
        let name = name.split(':').next()?;
        locked(&self.names).get(name).cloned()
    }

    fn is_throttled(&self, function: &str) -> bool {
        let mut throttled = locked(&self.throttled);
        match throttled.get_mut(function) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }

    /// Asks for a function, until it answered, failed or died.
    async fn invoke(&self, function: &str, mut passing: Passing) -> Passed {
        loop {
            let (mark, end) = self.instances.ask(function);
            passing
                .headers
                .insert(instances::MARK, mark.to_string().parse().expect("digits"));
            let functions = locked(&self.functions).clone();
            let answer = passing.clone().send(&self.client, &functions);
            let limit = locked(&self.timeouts).get(function).copied();
            let limit = limit.unwrap_or(Duration::from_secs(900));
            let end = tokio::select! {
                answer = answer => {
                    self.instances.forget(mark);
                    return answer.expect("cargo lambda watch answers");
                }
                end = end => end.unwrap_or(instances::End::Died("is gone".to_owned())),
                () = tokio::time::sleep(limit) => {
                    let seconds = limit.as_secs_f64();
                    self.deaths.kill_carrier(self, mark);
                    instances::End::TimedOut(format!("Task timed out after {seconds:.2} seconds"))
                }
            };
            self.instances.forget(mark);
            let (kind, message) = match end {
                instances::End::NotTaken => continue,
                instances::End::Died(how) => (
                    "Runtime.ExitError",
                    format!("RequestId: {mark} Error: Runtime exited with error: {how}"),
                ),
                instances::End::TimedOut(how) => (
                    "Sandbox.Timedout",
                    format!("RequestId: {mark} Error: {how}"),
                ),
            };
            let body = json!({"errorType": kind, "errorMessage": message});
            return Passed {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                headers: HeaderMap::new(),
                body: body.to_string().into(),
            };
        }
    }

    pub(super) fn violation(&self, text: String) {
        locked(&self.violations).push(text);
    }
}

/// Counts an invocation as under way while it lives.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn of(shared: &Arc<Shared>) -> Self {
        *locked(&shared.under_way) += 1;
        Self(Arc::clone(shared))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *locked(&self.0.under_way) -= 1;
    }
}

async fn enter(State(shared): State<Arc<Shared>>, passing: Passing) -> Response {
    let path = passing.uri.path().to_owned();
    if let Some(rest) = path.strip_prefix("/.instances/") {
        return instances::enter(&shared, rest, passing).await;
    }
    if let Some(name) = of_function(&path, "/invocations") {
        return invocation(shared, name, passing).await;
    }
    if let Some(name) = of_function(&path, "/configuration") {
        return configuration(&shared, name);
    }
    if let Some(rest) = path.strip_prefix("/lambda-url/") {
        let name = rest.split('/').next().unwrap_or_default();
        return page(shared, name, passing).await;
    }
    to_aws(shared, passing).await
}

/// The function of `/2015-03-31/functions/NAME/invocations` and the like.
fn of_function<'a>(path: &'a str, what: &str) -> Option<&'a str> {
    path.strip_prefix("/2015-03-31/functions/")?
        .strip_suffix(what)
}

fn not_found(name: &str) -> Response {
    let text =
        format!("Function not found: arn:aws:lambda:eu-central-1:123456789012:function:{name}");
    refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &text)
}

fn configuration(shared: &Shared, name: &str) -> Response {
    let name = percent_decoded(name);
    match locked(&shared.configurations).get(&name) {
        Some(known) => answer(StatusCode::OK, None, known.to_string().into()),
        None => not_found(&name),
    }
}

async fn invocation(shared: Arc<Shared>, name: &str, mut passing: Passing) -> Response {
    let name = percent_decoded(name);
    let call = Call::of(&passing);
    let is_step = call.caller == STATE_MACHINES;
    locked(&shared.calls).push(call);
    let Some(function) = shared.program(&name) else {
        return not_found(&name);
    };
    let kind = passing.headers.get("x-amz-invocation-type");
    let is_event = kind.is_some_and(|kind| kind == "Event");
    if is_step && passing.body.len() > STATE_LIMIT {
        shared.violation(format!(
            "{function} is given {} bytes by a state machine",
            passing.body.len()
        ));
    }
    if passing.body.len() > PAYLOAD_LIMIT {
        let text = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            text,
        );
    }
    if shared.is_throttled(&function) {
        return refusal(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequestsException",
            "Rate Exceeded.",
        );
    }
    locked(&shared.invokes).push(Invoke {
        function: function.clone(),
        payload: serde_json::from_slice(&passing.body).unwrap_or_default(),
        is_event,
        is_step,
    });
    passing.uri = format!("/2015-03-31/functions/{function}/invocations")
        .parse()
        .expect("a function's path is one");
    let under_way = UnderWay::of(&shared);
    if is_event {
        tokio::spawn(async move {
            event(&shared, &function, &passing).await;
            drop(under_way);
        });
        return answer(StatusCode::ACCEPTED, None, Bytes::new());
    }
    let answered = shared.invoke(&function, passing).await;
    drop(under_way);
    if is_step && answered.body.len() > STATE_LIMIT {
        shared.violation(format!(
            "{function} gives {} bytes to a state machine",
            answered.body.len()
        ));
    }
    let error = (answered.status != StatusCode::OK).then_some("Unhandled");
    answer(StatusCode::OK, error, answered.body)
}

/// Nobody waits: a failure is tried again, and then given up.
async fn event(shared: &Shared, function: &str, passing: &Passing) {
    for attempt in 0..=EVENT_RETRIES {
        let answered = shared.invoke(function, passing.clone()).await;
        if answered.status == StatusCode::OK {
            return;
        }
        if attempt < EVENT_RETRIES {
            tokio::time::sleep(EVENT_DELAY).await;
        }
    }
    shared.violation(format!("an event for {function} was given up"));
}

/// A function's address on the web.
async fn page(shared: Arc<Shared>, function: &str, passing: Passing) -> Response {
    let under_way = UnderWay::of(&shared);
    let answered = shared.invoke(function, passing).await;
    drop(under_way);
    answered.response()
}

async fn to_aws(shared: Arc<Shared>, passing: Passing) -> Response {
    let call = Call::of(&passing);
    locked(&shared.calls).push(call.clone());
    let death = shared.deaths.of(&call);
    if death == Some(Death::Before) {
        shared.deaths.kill(&shared, &call);
        std::future::pending::<()>().await;
    }
    let aws = locked(&shared.aws).clone();
    // A call that is answered after its caller died took effect all the same.
    let (answered, waiting) = oneshot::channel();
    let client = shared.client.clone();
    tokio::spawn(async move { answered.send(passing.send(&client, &aws).await) });
    let answer = waiting.await.expect("the call is made");
    if death == Some(Death::After) {
        shared.deaths.kill(&shared, &call);
        std::future::pending::<()>().await;
    }
    let answer = answer.expect("AWS answers");
    if let Some(needed) = call.needed_for(answer.status) {
        locked(&shared.calls).push(needed);
    }
    answer.response()
}

fn answer(status: StatusCode, error: Option<&str>, body: Bytes) -> Response {
    let mut response = Response::builder()
        .status(status)
        .header("x-amz-executed-version", "$LATEST")
        .header("x-amzn-requestid", calls::request_id());
    if let Some(error) = error {
        response = response.header("x-amz-function-error", error);
    }
    response.body(body.into()).expect("an answer is one")
}

/// Lambda's own refusal, before a function is asked.
fn refusal(status: StatusCode, kind: &str, text: &str) -> Response {
    let body = json!({"Type": "User", "message": text, "Message": text});
    Response::builder()
        .status(status)
        .header("x-amzn-errortype", kind)
        .header("x-amzn-requestid", calls::request_id())
        .header("content-type", "application/json")
        .body(body.to_string().into())
        .expect("a refusal is an answer")
}

pub(super) fn percent_decoded(text: &str) -> String {
    let decoded = url::form_urlencoded::parse(text.as_bytes()).next();
    decoded.map_or_else(String::new, |(name, _)| name.into_owned())
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
