//! Lambda: does it answer in each region, how much may run at once, are the functions of a stack in order.

use super::{explain, in_region, patient};
use crate::model::Region;
use anyhow::anyhow;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use futures::StreamExt as _;
use futures::stream;

/// Regions asked at once.
const AT_ONCE: usize = 8;

/// Executions that `deploy/template.yaml` sets aside for its functions, those for both processors.
pub const RESERVED: i32 = 411;
/// Executions of an account that nobody can set aside (AWS Lambda developer guide, "Configuring reserved concurrency").
pub const UNRESERVABLE: i32 = 100;

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

/// Reads the configuration of some functions, in the order of their names here.
pub async fn functions(config: &SdkConfig, names: &[String]) -> Vec<anyhow::Result<StackFunction>> {
    let client = Client::new(&patient(config));
    let client = &client;
    let asked = stream::iter(names.to_vec()).map(|name| async move {
        let answer = client
            .get_function_configuration()
            .function_name(&name)
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                Some(answer) if answer.is_resource_not_found_exception() => {
                    anyhow!("{name} is not there")
                }
                _ => explain("lambda:GetFunctionConfiguration", &error).context(name.clone()),
            })?;
        let word = |word: Option<&str>| word.unwrap_or("unknown").to_owned();
        let variables = answer
            .environment
            .and_then(|environment| environment.variables);
        Ok(StackFunction {
            name,
            state: word(answer.state.as_ref().map(|state| state.as_str())),
            update: word(
                answer
                    .last_update_status
                    .as_ref()
                    .map(|status| status.as_str()),
            ),
            role: variables.and_then(|mut variables| variables.remove("LAYERSMITH_FUNCTION")),
            code: answer.code_sha256.unwrap_or_default(),
        })
    });
    asked.buffered(AT_ONCE).collect().await
}
