//! Build tasks and their results on the way between functions: JSON in a bucket, because a state is too small for them.

use super::StepFailure;
use super::build_task::BuildTask;
use super::flow::{Item, Stage};
use crate::build::{Bucket, BucketError, ObjectKey};
use crate::model::{LayerName, RunId, Target};
use crate::plan::BuildState;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read as _, Write as _};

/// Bodies larger than this are compressed.
const LARGE: usize = 16 * 1024;
/// The largest body that is read, in bytes, compressed or not: a build record with thousands of files' findings has some
/// hundred kilobytes.
const LIMIT: u64 = 32 * 1024 * 1024;
/// How a compressed body starts (RFC 1952); JSON never does.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Which task of which run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskKey {
    /// The run.
    pub run: RunId,
    /// What it is done for: a stage that builds.
    pub stage: Stage,
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
}

impl TaskKey {
    fn task(&self) -> ObjectKey {
        ObjectKey::task(&self.run, self.stage.name(), &self.layer, self.target)
    }

    fn result(&self) -> ObjectKey {
        ObjectKey::result(&self.run, self.stage.name(), &self.layer, self.target)
    }
}

/// Why a body cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The bucket does not give or take it.
    #[error("the bucket of build tasks: {0}")]
    Bucket(#[from] BucketError),
    /// It is not what was expected.
    #[error("a build task or its result cannot be read: {0}")]
    Unreadable(String),
}

impl BodyError {
    /// Whether the same may succeed later with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Bucket(error) => error.is_transient(),
            Self::Unreadable(_) => false,
        }
    }

    /// Whether there is no such body.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Bucket(BucketError::Missing))
    }
}

impl From<BodyError> for StepFailure {
    fn from(error: BodyError) -> Self {
        Self::new(error.to_string(), error.is_transient())
    }
}

/// Where a list of items is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlace {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

/// Where tasks and results are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TaskBodies {
    bucket: Bucket,
}

impl TaskBodies {
    /// In a bucket.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// Writes down what is to be built.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn put_task(&self, key: &TaskKey, task: &BuildTask) -> Result<(), BodyError> {
        self.put(&key.task(), task).await
    }

    /// What is to be built.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn task(&self, key: &TaskKey) -> Result<BuildTask, BodyError> {
        let task: BuildTask = self.get(&key.task()).await?;
        if (&task.layer, task.target) == (&key.layer, key.target) {
            Ok(task)
        } else {
            Err(BodyError::Unreadable("it is of another layer".to_owned()))
        }
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn put_result(&self, key: &TaskKey, result: &BuildState) -> Result<(), BodyError> {
        self.put(&key.result(), result).await
    }

    /// What came of it.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn result(&self, key: &TaskKey) -> Result<BuildState, BodyError> {
        self.get(&key.result()).await
    }

    /// Writes down a list of items, from which a state machine takes each.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn put_list(
        &self,
        run: &RunId,
        stage: Stage,
        items: &[Item],
    ) -> Result<ListPlace, BodyError> {
        let key = ObjectKey::list(run, stage.name());
        // As it is: AWS Step Functions reads it, and unpacks nothing.
        let text = serde_json::to_vec(items);
        let text = text.map_err(|error| BodyError::Unreadable(error.to_string()))?;
        self.bucket.put(&key, text).await?;
        Ok(ListPlace {
            bucket: self.bucket.name().to_owned(),
            key: self.bucket.key(&key),
        })
    }

    async fn put(&self, key: &ObjectKey, body: &impl Serialize) -> Result<(), BodyError> {
        let bytes = pack(body).map_err(|error| BodyError::Unreadable(error.to_string()))?;
        Ok(self.bucket.put(key, bytes).await?)
    }

    async fn get<T: DeserializeOwned>(&self, key: &ObjectKey) -> Result<T, BodyError> {
        let bytes = self.bucket.get(key, LIMIT).await?;
        unpack(&bytes).map_err(|error| BodyError::Unreadable(error.to_string()))
    }
}

fn pack(body: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(body)?;
    if text.len() <= LARGE {
        return Ok(text);
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&text)?;
    packed.finish()
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    if !bytes.starts_with(&GZIP) {
        return Ok(serde_json::from_slice(bytes)?);
    }
    let mut text = Vec::new();
    GzDecoder::new(bytes).take(LIMIT).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_are_compressed_and_come_out_as_they_went_in() {
        let small = vec!["a".to_owned()];
        assert_eq!(pack(&small).unwrap(), br#"["a"]"#);
        let large = vec!["a".repeat(LARGE); 20];
        let packed = pack(&large).unwrap();
        assert!(packed.starts_with(&GZIP) && packed.len() < LARGE);
        for body in [small, large] {
            assert_eq!(unpack::<Vec<String>>(&pack(&body).unwrap()).unwrap(), body);
        }
        assert!(unpack::<Vec<String>>(b"{").is_err());
        assert!(unpack::<Vec<String>>(&packed[..packed.len() / 2]).is_err());
    }
}
