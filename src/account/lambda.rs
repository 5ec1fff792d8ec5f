//! Lambda: does it answer in each region, how much may run at once, are the functions of a stack in order.

use super::{explain, in_region, patient};
use crate::model::Region;
use anyhow::{Context as _, bail};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use futures::StreamExt as _;
use futures::stream;
use std::time::Duration;

/// Regions asked at once.
const AT_ONCE: usize = 8;

/// Executions that `deploy/template.yaml` sets aside for its functions, those for both processors.
pub const RESERVED: i32 = 411;
/// Executions of an account that nobody can set aside (AWS Lambda developer guide, "Configuring reserved concurrency").
pub const UNRESERVABLE: i32 = 100;

/// How long an invocation may take, a cold start among it.
const INVOCATION: Duration = Duration::from_secs(180);

/// How many executions an account may have at once, in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All together.
    pub concurrent: i32,
    /// Those that are not set aside for single functions.
    pub unreserved: i32,
}

/// A function of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFunction {
    /// Its name.
    pub name: String,
    /// `Active`, or what else it is.
    pub state: String,
    /// `Successful`, or how else its newest change ended.
    pub update: String,
    /// What `LAYERSMITH_FUNCTION` says there.
    pub role: Option<String>,
    /// What it runs on: `x86_64` or `arm64`.
    pub architecture: String,
    /// SHA-256 of its code, base64.
    pub code: String,
}

/// Lists a layer in each region; why that did not work, for the regions where it did not. The configuration's credentials
/// have to be those of the regions' partition.
pub async fn regions_that_answer(
    config: &SdkConfig,
    regions: &[Region],
) -> Vec<(Region, anyhow::Result<()>)> {
    let asked = stream::iter(regions.to_vec()).map(|region| async move {
        let client = Client::new(&in_region(config, region.as_str()));
        let answer = client.list_layers().max_items(1).send().await;
        let answer = answer
            .map(drop)
            .map_err(|error| explain("lambda:ListLayers", &error));
        (region, answer)
    });
    let mut answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    answers
}

/// The account's limits in the configuration's region.
///
/// # Errors
/// When Lambda does not tell.
pub async fn limits(config: &SdkConfig) -> anyhow::Result<Limits> {
    let answer = Client::new(&patient(config))
        .get_account_settings()
        .send()
        .await
        .map_err(|error| explain("lambda:GetAccountSettings", &error))?;
    let limit = answer.account_limit;
    Ok(Limits {
        concurrent: limit
            .as_ref()
            .map_or(0, |limit| limit.concurrent_executions),
        unreserved: limit
            .and_then(|limit| limit.unreserved_concurrent_executions)
            .unwrap_or_default(),
    })
}

/// Reads the configuration of some functions, in the order of their names here; `None` is not there.
pub async fn functions(
    config: &SdkConfig,
    names: &[String],
) -> Vec<anyhow::Result<Option<StackFunction>>> {
    let client = Client::new(&patient(config));
    let client = &client;
    let asked = stream::iter(names.to_vec()).map(|name| async move {
        let asked = client.get_function_configuration().function_name(&name);
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let answer = error.as_service_error();
                return match answer.is_some_and(|it| it.is_resource_not_found_exception()) {
                    true => Ok(None),
                    false => Err(explain("lambda:GetFunctionConfiguration", &error).context(name)),
                };
            }
        };
        let word = |word: Option<&str>| word.unwrap_or("unknown").to_owned();
        let variables = answer
            .environment
            .and_then(|environment| environment.variables);
        Ok(Some(StackFunction {
            name,
            state: word(answer.state.as_ref().map(|state| state.as_str())),
            update: word(
                answer
                    .last_update_status
                    .as_ref()
                    .map(|status| status.as_str()),
            ),
            role: variables.and_then(|mut variables| variables.remove("LAYERSMITH_FUNCTION")),
            architecture: answer
                .architectures
                .and_then(|all| Some(all.first()?.as_str().to_owned()))
                .unwrap_or_default(),
            code: answer.code_sha256.unwrap_or_default(),
        }))
    });
    asked.buffered(AT_ONCE).collect().await
}

/// Invokes a function with an event and waits for its answer.
///
/// # Errors
/// When it cannot be invoked, or fails: in its own words.
pub async fn invoke(
    config: &SdkConfig,
    name: &str,
    event: &serde_json::Value,
) -> anyhow::Result<serde_json::Value> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(super::CONNECT)
        .operation_attempt_timeout(INVOCATION)
        .build();
    // Once: what takes long is not made quicker by asking twice.
    let config = config
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build();
    let answer = Client::new(&config)
        .invoke()
        .function_name(name)
        .payload(Blob::new(event.to_string()))
        .send()
        .await
        .map_err(|error| explain("lambda:InvokeFunction", &error))?;
    let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
    if answer.function_error.is_some() {
        let said: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
        bail!(
            "it failed: {}",
            said["errorMessage"]
                .as_str()
                .unwrap_or("it did not say why")
        );
    }
    serde_json::from_slice(&payload).context("its answer is no JSON")
}
