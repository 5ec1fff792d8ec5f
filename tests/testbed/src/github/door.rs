//! Where requests come in: logged, checked against the contract, admitted, carried out, and the answer checked too.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request as HttpRequest, State as Shared_};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::Shared;
use super::auth::{Caller, admit, identify};
use super::call::{Answer, Call};
use super::contract::{Contract, contract};
use super::faults::{Fault, take_fault};
use super::graphql;
use super::routes::{find, operations};
use super::state::{Request, State, refusal};
use crate::support::Scissors;

/// Larger bodies are not read; GitHub takes none of this size either.
const LARGEST_BODY_BYTES: usize = 10 << 20;

/// Answers every request.
pub(crate) async fn door(
    Shared_(shared): Shared_<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let (method, path) = (
        parts.method.as_str().to_owned(),
        parts.uri.path().to_owned(),
    );
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let bytes = to_bytes(body, LARGEST_BODY_BYTES).await.unwrap_or_default();
    let fault = take_fault(&mut shared.lock().faults, &method, &path);
    let incoming = Incoming {
        method,
        path,
        query,
        headers: parts.headers,
        body: bytes.to_vec(),
    };
    match fault {
        None => {}
        Some(Fault::LostAnswer) => {
            incoming.handle(&shared).await;
            scissors.cut();
            return response(&Answer::ok(Value::Null));
        }
        Some(Fault::Reset) => {
            incoming.log(&mut shared.lock(), 0);
            scissors.cut();
            return response(&Answer::ok(Value::Null));
        }
        Some(Fault::Hang) => {
            incoming.log(&mut shared.lock(), 0);
            return std::future::pending().await;
        }
        Some(Fault::Status(status, headers, body)) => {
            incoming.log(&mut shared.lock(), status);
            let head = headers.into_iter().fold(
                Response::builder().status(status),
                |builder, (name, value)| builder.header(name, value),
            );
            return head
                .body(Body::from(body))
                .expect("the headers of a planned fault are valid");
        }
        Some(Fault::RetryAfter(seconds)) => {
            incoming.log(&mut shared.lock(), 403);
            let mut answer = Answer::refused(
                403,
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            );
            answer
                .headers
                .push(("retry-after".to_owned(), seconds.to_string()));
            return response(&answer);
        }
    }
    let answer = incoming.handle(&shared).await;
    response(&answer)
}

struct Incoming {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Incoming {
    fn log(&self, state: &mut State, status: u16) {
        let body = serde_json::from_slice(&self.body).ok();
        state.requests.push(Request {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            body,
            status,
        });
    }

    /// Answers, and sends off the web hooks that come of it, without waiting for them as GitHub would not.
    async fn handle(self, shared: &Arc<Shared>) -> Answer {
        let working = Arc::clone(shared);
        let work = tokio::task::spawn_blocking(move || {
            let mut state = working.lock();
            let answer = self.answer(&mut state);
            self.log(&mut state, answer.status);
            answer
        });
        let answer = work.await.unwrap_or_else(|error| {
            let text = format!("the double itself failed: {error}");
            shared.lock().violations.push(text.clone());
            Answer::refused(500, &text)
        });
        let courier = Arc::clone(shared);
        tokio::spawn(async move { courier.send_waiting().await });
        answer
    }

    fn answer(&self, state: &mut State) -> Answer {
        if !self.headers.contains_key("user-agent") {
            return Answer::refused(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            );
        }
        if (self.method.as_str(), self.path.as_str()) == ("POST", "/graphql") {
            return self.query(state);
        }
        let Some((operation, parameters)) = find(&self.method, &self.path) else {
            state.violations.push(format!(
                "{} {}: the double has no such operation",
                self.method, self.path
            ));
            return Answer::not_found();
        };
        let name = operation.name();
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(self.query.as_bytes())
            .into_owned()
            .collect();
        let body = match self.body.as_slice() {
            [] => None,
            bytes => match serde_json::from_slice::<Value>(bytes) {
                Ok(value) => Some(value),
                Err(_) => return Answer::refused(400, "Problems parsing JSON"),
            },
        };
        let authorization = self
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap_or_default());
        let caller = match identify(state, authorization) {
            Ok(caller) => caller,
            Err(refused) => return self.judged(state, &name, refused),
        };
        let errors = the_contract().check_request(&name, &parameters, &query, body.as_ref());
        if !errors.is_empty() {
            return self.violated(state, "the request breaks GitHub's contract", &errors);
        }
        let repository = parameters
            .get("owner")
            .zip(parameters.get("repo"))
            .map(|(owner, name)| format!("{owner}/{name}"));
        if let Err(refused) = admit(state, &caller, operation.access, repository.as_deref()) {
            return self.judged(state, &name, refused);
        }
        let mut call = Call {
            state,
            caller,
            path: self.path.clone(),
            parameters,
            query,
            body: body.unwrap_or(Value::Null),
        };
        let answer = (operation.run)(&mut call).unwrap_or_else(|refused| refused);
        self.judged(state, &name, answer)
    }

    /// Answers a query of GraphQL, which GitHub's description of its interface says nothing of.
    fn query(&self, state: &mut State) -> Answer {
        let authorization = self.headers.get("authorization");
        let authorization = authorization.map(|value| value.to_str().unwrap_or_default());
        let caller = match identify(state, authorization) {
            // Nobody asks it without saying who they are.
            Ok(Caller::Anonymous) => return Answer::refused(401, "Requires authentication"),
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let body = serde_json::from_slice(&self.body).unwrap_or_default();
        graphql::answer(state, &caller, &body)
            .unwrap_or_else(|error| self.violated(state, "the query is not understood", &[error]))
    }

    /// The answer, unless the double itself breaks the contract with it.
    fn judged(&self, state: &mut State, operation: &str, answer: Answer) -> Answer {
        let body = (!answer.body.is_null()).then_some(&answer.body);
        let errors = the_contract().check_answer(operation, answer.status, body);
        if errors.is_empty() {
            answer
        } else {
            self.violated(
                state,
                "the double's answer breaks GitHub's contract",
                &errors,
            )
        }
    }

    fn violated(&self, state: &mut State, what: &str, errors: &[String]) -> Answer {
        let text = format!(
            "{} {}: {what}: {}",
            self.method,
            self.path,
            errors.join("; ")
        );
        state.violations.push(text.clone());
        Answer::with(500, refusal(&text, 500))
    }
}

/// The contract of every operation of the table.
pub(crate) fn the_contract() -> &'static Contract {
    let names: Vec<String> = operations().map(super::routes::Operation::name).collect();
    contract(&names)
}

fn response(answer: &Answer) -> Response {
    let reset = (OffsetDateTime::now_utc() + Duration::HOUR)
        .unix_timestamp()
        .to_string();
    let status = StatusCode::from_u16(answer.status).expect("routes answer with valid codes");
    let mut head = Response::builder()
        .status(status)
        .header("x-github-media-type", "github.v3; format=json")
        .header("x-github-api-version-selected", "2022-11-28")
        .header("x-ratelimit-limit", "5000")
        .header("x-ratelimit-remaining", "4999")
        .header("x-ratelimit-used", "1")
        .header("x-ratelimit-resource", "core")
        .header("x-ratelimit-reset", reset);
    for (name, value) in &answer.headers {
        head = head.header(name, value);
    }
    let body = if answer.body.is_null() {
        Body::empty()
    } else {
        head = head.header("content-type", "application/json; charset=utf-8");
        Body::from(json!(answer.body).to_string())
    };
    head.body(body).expect("routes answer with valid headers")
}
