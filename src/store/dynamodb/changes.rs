//! Changing the table, and trying again where AWS asks for it.
//!
//! The SDK tries again, with jitter, what was throttled or lost. What it does not: two calls that meet at one item
//! (`TransactionConflict`), which is tried again here.

use super::item::{Item, Key, number_value};
use super::schema;
use super::table::Table;
use super::write::{Write, names_in};
use crate::store::Result;
use anyhow::{Context as _, bail, ensure};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, PutRequest, ReturnValue, WriteRequest,
};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use std::collections::HashMap;
use std::time::Duration;

/// How often calls that met others at an item are tried again: with these pauses, about ten seconds.
const CONFLICTS: usize = 14;
/// DynamoDB API reference, `TransactWriteItems`.
pub(super) const TRANSACTION_LIMIT: usize = 100;
/// DynamoDB API reference, `BatchWriteItem`.
const WRITE_LIMIT: usize = 25;

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Nothing was changed: the conditions at these places do not hold.
    Refused(Vec<usize>),
}

/// Pauses between tries of what others were in the way of, the last one about two seconds; random, so that two who met
/// do not meet again.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(CONFLICTS)
        .build()
}

/// Tries what others may get in the way of until it comes to an answer; each try reads anew what it decides by.
pub(super) async fn until_settled<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let mut pauses = pauses();
    loop {
        if let Some(answer) = attempt().await? {
            return Ok(answer);
        }
        pause(&mut pauses, what).await?;
    }
}

impl Table {
    /// Writes items, whatever was there; several at a time, and not all or nothing.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> Result<()> {
        let puts = items.into_iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.0)).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        let puts = puts.collect::<Result<Vec<_>>>()?;
        self.write_all(puts).await
    }

    /// Removes items, whether they are there or not; several at a time, and not all or nothing.
    pub(super) async fn delete_all(&self, keys: &[Key]) -> Result<()> {
        let deletes = keys.iter().map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(key.attributes()));
            Ok(WriteRequest::builder()
                .delete_request(delete.build()?)
                .build())
        });
        let deletes = deletes.collect::<Result<Vec<_>>>()?;
        self.write_all(deletes).await
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<()> {
        for chunk in requests.chunks(WRITE_LIMIT) {
            let mut left = HashMap::from([(self.name.clone(), chunk.to_vec())]);
            let mut pauses = pauses();
            while !left.is_empty() {
                let answer = self
                    .client
                    .batch_write_item()
                    .set_request_items(Some(left))
                    .send()
                    .await
                    .map_err(|error| self.failed("BatchWriteItem", &error))?;
                left = answer.unprocessed_items.unwrap_or_default();
                if !left.is_empty() {
                    pause(&mut pauses, "writing").await?;
                }
            }
        }
        Ok(())
    }

    /// Makes one change; `None` when its condition does not hold, otherwise the item after it. For a change that may be
    /// made twice: if the answer is lost, it is.
    pub(super) async fn update(
        &self,
        key: &Key,
        expression: &str,
        condition: Option<&str>,
        values: &[(&str, AttributeValue)],
    ) -> Result<Option<Item>> {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(names_in(&[expression, condition.unwrap_or_default()]))
            .set_expression_attribute_values(Some(values.collect()))
            .return_values(ReturnValue::AllNew);
        let mut pauses = pauses();
        loop {
            let error = match request.clone().send().await {
                Ok(answer) => return Ok(answer.attributes.map(Item)),
                Err(error) => error,
            };
            match error.as_service_error().and_then(|error| error.code()) {
                Some("ConditionalCheckFailedException") => return Ok(None),
                Some("TransactionConflictException") => pause(&mut pauses, "writing").await?,
                _ => return Err(self.failed("UpdateItem", &error)),
            }
        }
    }

    /// Makes all of the changes or none, at most [`TRANSACTION_LIMIT`]. A try that is repeated because its answer was
    /// lost counts once: DynamoDB knows it by its token.
    pub(super) async fn transact(&self, writes: Vec<Write>) -> Result<Outcome> {
        ensure!(
            writes.len() <= TRANSACTION_LIMIT,
            "a transaction of {} changes is too large for DynamoDB",
            writes.len()
        );
        let parts = writes.into_iter().map(|write| write.part(&self.name));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let mut pauses = pauses();
        loop {
            let request = self.client.transact_write_items();
            let sent = request.set_transact_items(Some(parts.clone())).send().await;
            let error = match sent {
                Ok(_) => return Ok(Outcome::Done),
                Err(error) => error,
            };
            let reasons = cancellation(&error);
            let refused: Vec<usize> = positions(&reasons, &["ConditionalCheckFailed"]);
            if !refused.is_empty() {
                return Ok(Outcome::Refused(refused));
            }
            let passing = [
                "TransactionConflict",
                "ThrottlingError",
                "ProvisionedThroughputExceeded",
            ];
            if positions(&reasons, &passing).is_empty() {
                return Err(self.failed("TransactWriteItems", &error));
            }
            pause(&mut pauses, "writing").await?;
        }
    }

    /// The first of `count` numbers that nobody was given before, and that follow each other.
    pub(super) async fn next_sequence(&self, count: u64) -> Result<u64> {
        let counted = self
            .update(
                &schema::counter(),
                "ADD #sequence :count",
                None,
                &[(":count", number_value(count))],
            )
            .await?;
        let last: u64 = counted
            .context("DynamoDB does not say what it counted")?
            .count("sequence")?;
        Ok(last + 1 - count)
    }
}

/// Why each part of a transaction did not take place.
fn cancellation(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Vec<String> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
        error.as_service_error()
    else {
        return Vec::new();
    };
    let reasons = cancelled.cancellation_reasons().iter();
    reasons
        .map(|reason| reason.code().unwrap_or_default().to_owned())
        .collect()
}

fn positions(reasons: &[String], codes: &[&str]) -> Vec<usize> {
    let reasons = reasons.iter().enumerate();
    reasons
        .filter(|(_, reason)| codes.contains(&reason.as_str()))
        .map(|(place, _)| place)
        .collect()
}

/// Waits before the next try, if there is to be one.
pub(super) async fn pause(pauses: &mut impl Iterator<Item = Duration>, what: &str) -> Result<()> {
    let Some(pause) = pauses.next() else {
        bail!("DynamoDB is too busy: {what} was tried again and again");
    };
    tokio::time::sleep(pause).await;
    Ok(())
}
