//! The one way to AWS Lambda in a region, and those to its staging bucket and its Parameter Store: below the SDK, so that no
//! call and no retry goes past pace and circuit. Each has a circuit of its own: a region whose buckets are away still takes
//! small layers.
//!
//! What waits here does not count as time that the region took: the limit for one attempt begins when it is sent.

use super::circuit::{Circuit, Line};
use super::hold::Hold;
use super::pace::Pace;
use super::{Clock, Timing};
use crate::model::Region;
use crate::telemetry::{add, metric};
use aws_sdk_lambda::config::http::{HttpRequest, HttpResponse};
use aws_sdk_lambda::config::{ConfigBag, RuntimeComponents};
use aws_sdk_lambda::primitives::SdkBody;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use futures::future::{Either, select};
use http_body_util::{BodyExt as _, Limited};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Bytes per second that an upload makes at least: 2 Mbit/s.
const SLOWEST_UPLOAD: u64 = 250_000;
/// A publish is waited for that many times as long as a small call, upload aside: AWS unpacks the zip.
pub(super) const PUBLISHING: u32 = 3;
/// Bytes of an answer of AWS Lambda that are read; a page of 50 versions has some 50,000.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// The gate to one service in one region.
pub(super) struct Gate {
    /// Where it leads to.
    region: Region,
    /// Absent where calls need not wait for each other.
    pace: Option<Pace>,
    pub(super) circuit: Circuit,
    timing: Timing,
    clock: Clock,
    /// Bytes per second that the body of one request makes at least.
    slowest: u64,
}

/// The region did not answer the calls before this one, or said nothing but that it is asked too often. This one was not
/// sent.
#[derive(Debug, thiserror::Error)]
#[error(
    "the region did not answer the calls before, or only asked to slow down, and is left alone for a while"
)]
pub(super) struct LeftAlone;

impl Gate {
    /// The one to AWS Lambda.
    pub(super) fn to_lambda(
        region: &Region,
        timing: Timing,
        clock: Clock,
        line: Arc<Line>,
    ) -> Self {
        Self {
            region: region.clone(),
            pace: Some(Pace::new()),
            circuit: Circuit::new(timing.call_timeout, timing.cool_down, line),
            timing,
            clock,
            slowest: SLOWEST_UPLOAD,
        }
    }

    /// The one to Amazon S3, which takes thousands of calls per second; so many parts are on their way at once.
    pub(super) fn to_bucket(
        region: &Region,
        timing: Timing,
        clock: Clock,
        line: Arc<Line>,
        at_once: u64,
    ) -> Self {
        Self {
            slowest: SLOWEST_UPLOAD / at_once,
            ..Self::to_parameters(region, timing, clock, line)
        }
    }

    /// The one to Parameter Store, whose few calls are bounded by who makes them, so that they need not wait for each other.
    pub(super) fn to_parameters(
        region: &Region,
        timing: Timing,
        clock: Clock,
        line: Arc<Line>,
    ) -> Self {
        Self {
            pace: None,
            ..Self::to_lambda(region, timing, clock, line)
        }
    }

    /// Whether what is sent ahead would soon have its turn.
    pub(super) fn is_unhurried(&self) -> bool {
        let now = (self.clock)();
        let pace = self.pace.as_ref();
        !self.is_left_alone() && pace.is_none_or(|pace| pace.is_unhurried(now))
    }

    /// Whether a call would be turned away now.
    pub(super) fn is_left_alone(&self) -> bool {
        self.circuit.is_open((self.clock)())
    }

    /// The longest that one attempt may take from when it is sent.
    fn limit(&self, request: &HttpRequest) -> Duration {
        let announced = || request.headers().get("content-length")?.parse().ok();
        let bytes = request.body().content_length().or_else(announced);
        let is_publish = request.method() == "POST"
            && request
                .uri()
                .split('?')
                .next()
                .is_some_and(|path| path.ends_with("/versions"));
        let factor = if is_publish { PUBLISHING } else { 1 };
        let upload = Duration::from_secs(bytes.unwrap_or_default() / self.slowest);
        self.timing.call_timeout * factor + upload
    }

    async fn pass(
        &self,
        connector: SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        // Nobody waits for a turn that will come to nothing.
        if self.is_left_alone() {
            return Err(left_alone());
        }
        let limit = self.limit(&request);
        let hold = request.extension::<Hold>().cloned();
        let send = || whole(connector.call(request));
        let Some(hold) = hold else {
            let began = self.turn(None).await?;
            return self.answered(began, limit, send()).await;
        };
        let mut answer = pin!(send());
        let let_go = pin!(async {
            match tokio::time::timeout(limit, hold.is_wanted()).await {
                Ok(true) => self.turn(Some(&hold)).await,
                Ok(false) => Err(broken_off()),
                Err(late) => Err(ConnectorError::timeout(late.into())),
            }
        });
        match select(answer.as_mut(), let_go).await {
            Either::Right((began, _)) => self.answered(began?, limit, answer).await,
            // Nothing else follows for the region from what was not asked whole.
            Either::Left((early, _)) => {
                if early.as_ref().is_ok_and(asks_to_slow_down) {
                    self.slow_down();
                }
                early
            }
        }
    }

    /// Waits for the turn of a call; the time at which it comes. A request that is held is let go then.
    async fn turn(&self, hold: Option<&Hold>) -> Result<Duration, ConnectorError> {
        let is_wanted = || hold.is_none_or(|hold| !hold.is_broken_off());
        if let Some(pace) = &self.pace
            && !pace.turn(&self.clock, is_wanted).await
        {
            return Err(broken_off());
        }
        let now = (self.clock)();
        if !self.circuit.admits(now) {
            return Err(left_alone());
        }
        match hold {
            Some(hold) if !hold.let_go() => Err(broken_off()),
            _ => Ok(now),
        }
    }

    /// The region asked to be asked less.
    fn slow_down(&self) {
        add(&metric::THROTTLES, &[self.region.as_str()], 1);
        let now = (self.clock)();
        if let Some(pace) = &self.pace {
            pace.slow_down(now);
        }
        self.circuit.slowed_down(now);
    }

    /// The answer to a call that began then, and what it says of the region.
    async fn answered(
        &self,
        began: Duration,
        limit: Duration,
        answer: impl Future<Output = Result<HttpResponse, ConnectorError>>,
    ) -> Result<HttpResponse, ConnectorError> {
        let answer = tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|late| Err(ConnectorError::timeout(late.into())));
        match &answer {
            Ok(answer) if answer.status().as_u16() >= 500 => {
                self.circuit.failed(began, (self.clock)());
            }
            Ok(answer) if self.pace.is_some() && asks_to_slow_down(answer) => self.slow_down(),
            Ok(_) => {
                self.circuit.answered((self.clock)());
                if let Some(pace) = &self.pace {
                    pace.recover();
                }
            }
            Err(_) => self.circuit.failed(began, (self.clock)()),
        }
        answer
    }
}

fn left_alone() -> ConnectorError {
    // Of no kind that the SDK would try again.
    ConnectorError::other(LeftAlone.into(), None)
}

/// Whoever could have read this is gone, or makes the call anew.
fn broken_off() -> ConnectorError {
    ConnectorError::user("the request was broken off".into())
}

/// The answer with its whole body: one that breaks off in the middle is no answer.
async fn whole(answer: HttpConnectorFuture) -> Result<HttpResponse, ConnectorError> {
    let mut answer = answer.await?;
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let collected = Limited::new(body, ANSWER_LIMIT).collect().await;
    let bytes = collected.map_err(ConnectorError::io)?.to_bytes();
    *answer.body_mut() = SdkBody::from(bytes);
    Ok(answer)
}

fn asks_to_slow_down(answer: &HttpResponse) -> bool {
    let code = answer.headers().get("x-amzn-errortype").unwrap_or_default();
    answer.status().as_u16() == 429 || code.contains("Throttl") || code.contains("TooManyRequests")
}

/// An HTTP client whose requests go through the gate.
#[derive(Clone)]
pub(super) struct Gated {
    pub(super) gate: Arc<Gate>,
    pub(super) client: SharedHttpClient,
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated").finish_non_exhaustive()
    }
}

impl HttpClient for Gated {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(GatedConnector {
            gate: Arc::clone(&self.gate),
            connector: self.client.http_connector(settings, components),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.client.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.client.validate_final_config(components, config)
    }
}

struct GatedConnector {
    gate: Arc<Gate>,
    connector: SharedHttpConnector,
}

impl fmt::Debug for GatedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedConnector").finish_non_exhaustive()
    }
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (gate, connector) = (Arc::clone(&self.gate), self.connector.clone());
        HttpConnectorFuture::new(async move { gate.pass(connector, request).await })
    }
}
