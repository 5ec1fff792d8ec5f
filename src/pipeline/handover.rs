//! What is handed to the functions that build, and what comes back: JSON bodies in S3.
//!
//! Whoever builds runs near strangers' code, so it has no store: it reads its task here, and leaves its result here. Everything
//! is below `build/` of the artifacts' prefix, the one place that it may write to. Deliberately absent: zips, which are
//! found by their digest.

use super::StepFailure;
use super::build_task::BuildTask;
use super::flow::Item;
use crate::model::{LayerName, Target};
use crate::plan::BuildState;
use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A place for bodies: a bucket, and the beginning of their keys.
#[derive(Debug, Clone)]
pub struct Handover {
    client: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
}

/// Where a list of items is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlace {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

impl Handover {
    /// Bodies below `prefix` (without a `/` at its end; may be empty) of a bucket.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, bucket: String, prefix: &str) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            client,
            bucket,
            prefix,
        }
    }

    /// Leaves a task for whoever builds.
    ///
    /// # Errors
    /// When S3 does not take it; another try may.
    pub async fn put_task(&self, run: &str, task: &BuildTask) -> Result<(), StepFailure> {
        let key = self.key("tasks", run, &task.layer, task.target);
        self.put(&key, task).await
    }

    /// The task of a run for a layer and target.
    ///
    /// # Errors
    /// When S3 does not answer, or there is none.
    pub async fn task(&self, run: &str, item: &Item) -> Result<BuildTask, StepFailure> {
        let key = self.key("tasks", run, &item.layer, item.target);
        let task = self.get(&key).await?;
        task.ok_or_else(|| StepFailure::lasting(format!("nobody left a task at {key}")))
    }

    /// Leaves what building came to.
    ///
    /// # Errors
    /// When S3 does not take it; another try may.
    pub async fn put_result(
        &self,
        run: &str,
        item: &Item,
        result: &BuildState,
    ) -> Result<(), StepFailure> {
        let key = self.key("results", run, &item.layer, item.target);
        self.put(&key, result).await
    }

    /// What building came to, if it came to an end.
    ///
    /// # Errors
    /// When S3 does not answer.
    pub async fn result(&self, run: &str, item: &Item) -> Result<Option<BuildState>, StepFailure> {
        let key = self.key("results", run, &item.layer, item.target);
        self.get(&key).await
    }

    /// Leaves a list of items for a state machine that takes each from there.
    ///
    /// # Errors
    /// When S3 does not take it; another try may.
    pub async fn put_list(
        &self,
        run: &str,
        stage: &str,
        items: &[Item],
    ) -> Result<ListPlace, StepFailure> {
        let key = format!("{}lists/{run}/{stage}.json", self.prefix);
        self.put(&key, &items).await?;
        Ok(ListPlace {
            bucket: self.bucket.clone(),
            key,
        })
    }

    fn key(&self, folder: &str, run: &str, layer: &LayerName, target: Target) -> String {
        format!("{}build/{folder}/{run}/{layer}/{target}.json", self.prefix)
    }

    async fn put<T: Serialize>(&self, key: &str, body: &T) -> Result<(), StepFailure> {
        let body = serde_json::to_vec(body).map_err(|it| StepFailure::lasting(it.to_string()))?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(body));
        put.send()
            .await
            .map_err(|error| failure("keep", key, &error))?;
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StepFailure> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let object = match get.send().await {
            Ok(object) => object,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|it| it.is_no_such_key()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failure("read", key, &error)),
        };
        let body = object.body.collect().await.map_err(|error| {
            StepFailure::transient(format!("S3 broke off reading {key}: {error}"))
        })?;
        let body = serde_json::from_slice(&body.into_bytes());
        body.map(Some)
            .map_err(|error| StepFailure::lasting(format!("{key} in S3 cannot be read: {error}")))
    }
}

fn failure<E, R>(what: &str, key: &str, error: &SdkError<E, R>) -> StepFailure
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let reason = DisplayErrorContext(error).to_string();
    tracing::warn!(%key, %reason, "S3 does not {what} {key}: {reason}");
    StepFailure::transient(format!("S3 does not {what} {key}"))
}
