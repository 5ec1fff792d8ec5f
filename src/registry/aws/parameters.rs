//! Public names in AWS Systems Manager's Parameter Store, in the account and regions of the layers.

use super::errors::left_alone;
use super::gate::{Gate, Gated};
use super::{AwsRegistry, CALL_ATTEMPTS, CONNECT_TIMEOUT};
use crate::model::Region;
use crate::registry::{ParameterStore, RegistryError};
use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_ssm::types::ParameterType;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Names that one call deletes (AWS Systems Manager API reference, `DeleteParameters`).
const DELETED_AT_ONCE: usize = 10;

impl AwsRegistry {
    fn parameter_store(&self, region: &Region) -> Result<Client, RegistryError> {
        // Where layers cannot be had, names of them are not waited for.
        if self.place(region)?.gate.is_left_alone() {
            return Err(left_alone(region));
        }
        let partition = self.partition(region)?;
        let retries = RetryConfig::standard()
            .with_max_attempts(CALL_ATTEMPTS)
            .with_initial_backoff(self.timing.first_pause);
        // The limit for one attempt is the gate's.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        let config = Builder::from(&partition.config)
            .region(aws_config::Region::new(region.to_string()))
            .retry_config(retries)
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Gated {
                gate: self.gate_to_parameters(region),
                client: partition.http_client.clone(),
            })
            .build();
        Ok(Client::from_conf(config))
    }

    fn gate_to_parameters(&self, region: &Region) -> Arc<Gate> {
        let gates = self.parameters.lock();
        let mut gates = gates.unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(region.clone()).or_insert_with(|| {
            let line = Arc::clone(&self.parameter_line);
            Arc::new(Gate::to_parameters(
                region,
                self.timing,
                Arc::clone(&self.clock),
                line,
            ))
        });
        Arc::clone(gate)
    }
}

#[async_trait]
impl ParameterStore for AwsRegistry {
    async fn parameters(
        &self,
        region: &Region,
        path: &str,
    ) -> Result<BTreeMap<String, String>, RegistryError> {
        let mut found = BTreeMap::new();
        let mut pages = self
            .parameter_store(region)?
            .get_parameters_by_path()
            .path(path)
            .recursive(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = self.heard(region, page).await?;
            found.extend(
                page.parameters
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|parameter| Some((parameter.name?, parameter.value?))),
            );
        }
        Ok(found)
    }

    async fn put_parameter(
        &self,
        region: &Region,
        name: &str,
        value: &str,
    ) -> Result<(), RegistryError> {
        let answer = self
            .parameter_store(region)?
            .put_parameter()
            .name(name)
            .value(value)
            .r#type(ParameterType::String)
            .overwrite(true)
            .send()
            .await;
        self.heard(region, answer).await.map(|_| ())
    }

    async fn delete_parameters(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<(), RegistryError> {
        let client = self.parameter_store(region)?;
        for names in names.chunks(DELETED_AT_ONCE) {
            // Names that are not there are told in the answer and are no error.
            let answer = client
                .delete_parameters()
                .set_names(Some(names.to_vec()))
                .send()
                .await;
            self.heard(region, answer).await?;
        }
        Ok(())
    }
}
