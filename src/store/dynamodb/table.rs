//! Reading the table: whole answers, however many pages they have.

use super::changes::{pause, pauses};
use super::item::{Item, Key, text_value};
use super::schema::Index;
use super::write::names_in;
use crate::store::Result;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

/// How often the SDK tries a call, pauses doubling from [`FIRST_PAUSE`]: about ten seconds of being throttled.
const ATTEMPTS: u32 = 9;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// One answer of DynamoDB takes milliseconds, one of many megabytes seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// DynamoDB API reference, `BatchGetItem`.
const READ_LIMIT: usize = 100;

/// One table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
}

/// A part of an index' partition.
#[derive(Debug, Clone)]
pub(super) enum Range {
    All,
    /// Sort keys below this text.
    Below(String),
    /// Sort keys above this text.
    Above(String),
    /// Sort keys from one text to another, both included.
    Between(String, String),
}

impl Table {
    pub(super) fn new(config: &SdkConfig, name: &str) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(FIRST_PAUSE),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            name: name.to_owned(),
        }
    }

    /// An item as it is now.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed("GetItem", &error))?;
        Ok(answer.item.map(Item))
    }

    /// Those of the items that are there, as they are now, in any order.
    pub(super) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        for chunk in keys.chunks(READ_LIMIT) {
            let keys = chunk.iter().map(Key::attributes).collect();
            let asked = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()?;
            let mut left = HashMap::from([(self.name.clone(), asked)]);
            let mut pauses = pauses();
            while !left.is_empty() {
                let answer = self
                    .client
                    .batch_get_item()
                    .set_request_items(Some(left))
                    .send()
                    .await
                    .map_err(|error| self.failed("BatchGetItem", &error))?;
                let items = answer.responses.unwrap_or_default().remove(&self.name);
                let items = items.unwrap_or_default();
                let nothing_came = items.is_empty();
                found.extend(items.into_iter().map(Item));
                left = answer.unprocessed_keys.unwrap_or_default();
                if !left.is_empty() && nothing_came {
                    pause(&mut pauses, "reading").await?;
                }
            }
        }
        Ok(found)
    }

    /// What lies together under a partition key, and has a sort key that begins so, as it is now, in the order of the
    /// sort keys.
    pub(super) async fn query(&self, partition: &str, prefix: &str) -> Result<Vec<Item>> {
        let condition = if prefix.is_empty() {
            "#pk = :pk"
        } else {
            "#pk = :pk AND begins_with(#sk, :prefix)"
        };
        let mut request = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names_in(&[condition]))
            .expression_attribute_values(":pk", text_value(partition));
        if !prefix.is_empty() {
            request = request.expression_attribute_values(":prefix", text_value(prefix));
        }
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("Query", &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(Item));
        }
        Ok(found)
    }

    /// At most `limit` items of an index, in its order, or from its end; it may be a moment behind the table.
    pub(super) async fn index(
        &self,
        index: Index,
        partition: &str,
        range: Range,
        limit: usize,
        forward: bool,
    ) -> Result<Vec<Item>> {
        let (sign, bounds) = match range {
            Range::All => ("", vec![]),
            Range::Below(text) => (" < :bound", vec![(":bound", text)]),
            Range::Above(text) => (" > :bound", vec![(":bound", text)]),
            Range::Between(from, to) => (
                " BETWEEN :bound AND :other",
                vec![(":bound", from), (":other", to)],
            ),
        };
        let mut condition = format!("#{} = :partition", index.name());
        if !sign.is_empty() {
            condition.push_str(&format!(" AND #{}{sign}", index.sort()));
        }
        let request = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index.name())
            .scan_index_forward(forward)
            .set_expression_attribute_names(names_in(&[&condition]))
            .expression_attribute_values(":partition", text_value(partition))
            .set_limit(i32::try_from(limit).ok().filter(|limit| *limit > 0));
        let request = bounds.into_iter().fold(request, |request, (name, text)| {
            request.expression_attribute_values(name, text_value(text))
        });
        let mut pages = request
            .key_condition_expression(condition)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| self.failed("Query", &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(Item));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// How many items of an index lie together.
    pub(super) async fn count(&self, index: Index, partition: &str) -> Result<u64> {
        let condition = format!("#{} = :partition", index.name());
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index.name())
            .select(Select::Count)
            .set_expression_attribute_names(names_in(&[&condition]))
            .expression_attribute_values(":partition", text_value(partition))
            .key_condition_expression(condition)
            .into_paginator()
            .send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("Query", &error))?;
            count += u64::try_from(page.count).unwrap_or_default();
        }
        Ok(count)
    }

    /// A page of everything, and where the next one begins.
    pub(super) async fn scan(&self, after: Option<&Key>) -> Result<(Vec<Item>, Option<Key>)> {
        let answer = self
            .client
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .set_exclusive_start_key(after.map(Key::attributes))
            .send()
            .await
            .map_err(|error| self.failed("Scan", &error))?;
        let next = answer.last_evaluated_key.map(|key| Item(key).key());
        let items = answer.items.unwrap_or_default().into_iter().map(Item);
        Ok((items.collect(), next.transpose()?))
    }

    pub(super) fn failed<E>(&self, call: &str, error: &SdkError<E, HttpResponse>) -> anyhow::Error
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let table = &self.name;
        match error.as_service_error().and_then(|error| error.code()) {
            Some("ResourceNotFoundException") => {
                anyhow::anyhow!("there is no table {table} in DynamoDB here")
            }
            _ => anyhow::anyhow!(
                "the table {table} does not answer (dynamodb:{call}): {}",
                DisplayErrorContext(error)
            ),
        }
    }
}
