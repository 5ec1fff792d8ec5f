//! The environments that functions are carried out in, and which of them carries out what: the runtime's side of Lambda,
//! between the executable and `cargo lambda watch`, which tells neither the right deadline nor when an environment died.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::sync::oneshot;

use super::door::{Shared, locked};
use crate::relay::{Passed, Passing};

/// The header that goes with an invocation from the door to the environment; one of those that the emulator hands on.
pub(super) const MARK: &str = "lambda-runtime-cognito-identity";
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// How an invocation ended that nobody answered.
#[derive(Debug)]
pub(super) enum End {
    /// The environment died, in these words.
    Died(String),
    TimedOut(String),
    /// The environment that it was for died before it took it.
    NotTaken,
}

#[derive(Default)]
pub(super) struct Instances(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    /// Invocations without an answer, by their mark.
    open: BTreeMap<u64, Open>,
    /// The marks of what `cargo lambda watch` calls by ids of its own.
    marks: BTreeMap<String, u64>,
}

struct Open {
    function: String,
    /// Who carries it out, once somebody does.
    instance: Option<String>,
    end: oneshot::Sender<End>,
}

impl Instances {
    /// A new invocation: its mark, and how it ends should nobody answer it.
    pub(super) fn ask(&self, function: &str) -> (u64, oneshot::Receiver<End>) {
        let (end, ended) = oneshot::channel();
        let mut state = locked(&self.0);
        state.last += 1;
        let mark = state.last;
        let open = Open {
            function: function.to_owned(),
            instance: None,
            end,
        };
        state.open.insert(mark, open);
        (mark, ended)
    }

    pub(super) fn forget(&self, mark: u64) {
        locked(&self.0).open.remove(&mark);
    }

    /// Who carries an invocation out.
    pub(super) fn carrier(&self, mark: u64) -> Option<String> {
        let state = locked(&self.0);
        state.open.get(&mark).and_then(|open| open.instance.clone())
    }

    /// The function that this invocation is for, when somebody still waits for it.
    fn take(&self, mark: u64, request: &str, instance: &str) -> Option<String> {
        let mut state = locked(&self.0);
        state.marks.insert(request.to_owned(), mark);
        let open = state.open.get_mut(&mark)?;
        open.instance = Some(instance.to_owned());
        Some(open.function.clone())
    }

    fn end(&self, mark: u64, end: End) {
        if let Some(open) = locked(&self.0).open.remove(&mark) {
            drop(open.end.send(end));
        }
    }

    /// An environment is gone: whatever it carried out has ended.
    fn ended(&self, instance: &str, how: &str) {
        let mut state = locked(&self.0);
        let is_its = |open: &Open| open.instance.as_deref() == Some(instance);
        let marks: Vec<u64> = state
            .open
            .iter()
            .filter(|(_, open)| is_its(open))
            .map(|(mark, _)| *mark)
            .collect();
        for mark in marks {
            if let Some(open) = state.open.remove(&mark) {
                drop(open.end.send(End::Died(how.to_owned())));
            }
        }
    }

    /// An environment that never asked for work is gone: Lambda says so to whoever asked for the function first.
    fn failed_to_start(&self, function: &str, how: &str) {
        let state = locked(&self.0);
        let first = state
            .open
            .iter()
            .find(|(_, open)| open.function == function && open.instance.is_none())
            .map(|(mark, _)| *mark);
        drop(state);
        if let Some(mark) = first {
            self.end(mark, End::Died(how.to_owned()));
        }
    }
}

/// The function of an environment: `publish` of `publish-4711-2`.
pub(super) fn function_of(instance: &str) -> &str {
    instance.rsplitn(3, '-').last().unwrap_or_default()
}

/// A request of an environment: `INSTANCE/…`.
pub(super) async fn enter(shared: &Arc<Shared>, rest: &str, mut passing: Passing) -> Response {
    let (instance, path) = rest.split_once('/').unwrap_or((rest, ""));
    let function = function_of(instance);
    if path == "ended" {
        let how = String::from_utf8_lossy(&passing.body).into_owned();
        let asked = shared.folder.join("rooms").join(instance).join(".asked");
        if asked.exists() {
            shared.instances.ended(instance, &how);
        } else {
            shared.instances.failed_to_start(function, &how);
        }
        return Response::new(Body::empty());
    }
    passing.uri = format!("/.rt/{function}/{path}")
        .parse()
        .expect("a path of the runtime is one");
    if path.ends_with("/invocation/next") {
        return next(shared, instance, passing).await;
    }
    if path.ends_with("/init/error") {
        let how = String::from_utf8_lossy(&passing.body).into_owned();
        shared.instances.failed_to_start(function, &how);
        return status(StatusCode::ACCEPTED);
    }
    let functions = locked(&shared.functions).clone();
    let answer = passing.send(&shared.client, &functions).await;
    let mut answer = answer.expect("cargo lambda watch answers");
    if answer.status == StatusCode::OK {
        answer.status = StatusCode::ACCEPTED;
    }
    answer.response()
}

/// Waits for the next invocation. It is not lost when the environment goes away meanwhile.
async fn next(shared: &Arc<Shared>, instance: &str, passing: Passing) -> Response {
    let asked = shared.folder.join("rooms").join(instance).join(".asked");
    drop(std::fs::write(asked, ""));
    let (handed, waiting) = oneshot::channel();
    let (shared, instance) = (Arc::clone(shared), instance.to_owned());
    tokio::spawn(async move {
        loop {
            let functions = locked(&shared.functions).clone();
            let asked = passing.clone().send(&shared.client, &functions).await;
            // At the end of a test nobody is there any more.
            let Ok(asked) = asked else { return };
            let mark = header(&asked.headers, MARK).and_then(|mark| mark.parse::<u64>().ok());
            let request = header(&asked.headers, REQUEST_ID).unwrap_or_default();
            let Some(mark) = mark else { continue };
            if shared.instances.take(mark, &request, &instance).is_none() {
                // Whoever asked does not wait any more.
                continue;
            }
            if handed.is_closed() {
                shared.instances.end(mark, End::NotTaken);
                return;
            }
            let told = told(&shared, function_of(&instance), asked);
            if handed.send(told.response()).is_err() {
                shared.instances.end(mark, End::NotTaken);
            }
            return;
        }
    });
    waiting
        .await
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The invocation as Lambda would hand it over: the deadline is a moment, and the function has its name.
fn told(shared: &Shared, function: &str, mut asked: Passed) -> Passed {
    let limit = locked(&shared.timeouts).get(function).copied();
    let limit = limit.unwrap_or(Duration::from_secs(900));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let names = locked(&shared.names).clone();
    let name = names.iter().find(|(_, program)| *program == function);
    let name = name.map_or(function, |(name, _)| name);
    let headers = &mut asked.headers;
    headers.remove(MARK);
    for (header, value) in [
        (
            "lambda-runtime-deadline-ms",
            (now + limit).as_millis().to_string(),
        ),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:eu-central-1:123456789012:function:{name}"),
        ),
    ] {
        headers.insert(header, value.parse().expect("plain text"));
    }
    asked
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn status(status: StatusCode) -> Response {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .expect("a status is an answer")
}
