//! What the bot remembers: layer versions, builds, deliveries, events, runs and their journaled steps.
//!
//! Deliberately absent: decisions. A store keeps what it is told and guards its invariants (one live version per
//! layer, target and region; one event per key; one run per id), each call in one transaction.

use crate::model::{
    BuildRecord, Conversation, Delivery, Digest, Event, LayerArn, LayerName, LayerVersion, Run,
    RunState, SlotKey, StepRecord, Target, Timestamp,
};
use async_trait::async_trait;

#[cfg(test)]
mod conformance;
mod sqlite;

pub use sqlite::SqliteStore;

/// A store failed; callers only report it.
pub type Result<T> = anyhow::Result<T>;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// New, with an event nobody has seen.
    New,
    /// The same delivery was recorded before.
    SeenDelivery,
    /// Another delivery of an event that was recorded before.
    SeenEvent,
}

/// The turn to publish; it ends when this is dropped.
#[must_use = "the turn ends when this is dropped"]
pub struct Turn(#[expect(dead_code, reason = "held, not read")] Box<dyn Send + Sync>);

impl Turn {
    /// A turn that lasts as long as this value, whatever it is.
    fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

/// The bot's memory.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes down a delivery and the event it carries (`None`: nothing the bot acts on), durably, in one transaction.
    async fn record_delivery(&self, delivery: &Delivery, event: Option<&Event>)
    -> Result<Recorded>;

    /// Events that nobody has finished, oldest first, at most `limit`.
    async fn waiting_events(&self, limit: usize) -> Result<Vec<Event>>;

    /// Marks an event as dealt with and says what came of it.
    async fn finish_event(&self, key: &str, outcome: &str) -> Result<()>;

    /// Writes down a run; `false` when its id exists already (nothing is changed then).
    async fn create_run(&self, run: &Run) -> Result<bool>;

    /// A run by its id.
    async fn run(&self, id: &str) -> Result<Option<Run>>;

    /// Runs in a state, oldest first.
    async fn runs_in(&self, state: RunState) -> Result<Vec<Run>>;

    /// Runs of a pull request, oldest first.
    async fn runs_of(&self, pull_request: u64) -> Result<Vec<Run>>;

    /// Ends an open run; `false` when it was not open any more (nothing is changed then).
    async fn end_run(&self, id: &str, state: RunState, detail: Option<&str>) -> Result<bool>;

    /// Names the pull request that a run answers on, and opens the run again if it was done, so that it is answered.
    async fn attach_pull_request(&self, id: &str, pull_request: u64) -> Result<()>;

    /// Writes a step into a run's journal, in place of an earlier record of that step.
    async fn put_step(&self, step: &StepRecord) -> Result<()>;

    /// A run's journal, in the order the steps were first written.
    async fn steps(&self, run: &str) -> Result<Vec<StepRecord>>;

    /// What was said on a pull request.
    async fn conversation(&self, pull_request: u64) -> Result<Option<Conversation>>;

    /// Remembers what was said on a pull request.
    async fn put_conversation(&self, conversation: &Conversation) -> Result<()>;

    /// Remembers a build, in place of an earlier one with the same layer, target and fingerprint.
    async fn put_build(&self, build: &BuildRecord) -> Result<()>;

    /// The build with this fingerprint.
    async fn build(
        &self,
        layer: &LayerName,
        target: Target,
        fingerprint: &Digest,
    ) -> Result<Option<BuildRecord>>;

    /// Every build whose zip is, or may be, published: the latest one for each layer, target and digest.
    async fn builds(&self) -> Result<Vec<BuildRecord>>;

    /// Every layer version that is not deleted, intents included, in the order of [`SlotKey`], then by age.
    async fn layer_versions(&self) -> Result<Vec<LayerVersion>>;

    /// Those of one layer.
    async fn layer_versions_of(&self, layer: &LayerName) -> Result<Vec<LayerVersion>>;

    /// Waits until nobody else who shares this store publishes. What is to be published is decided within the turn:
    /// two that decide side by side would both find it missing.
    async fn turn_to_publish(&self) -> Result<Turn>;

    /// Writes down the intent to publish, unless an intent or a live version with that key exists; returns the row
    /// that stands now. A deprecated or deleted version with that key does not count: it is published anew.
    async fn begin_publish(
        &self,
        key: &SlotKey,
        version: &str,
        now: Timestamp,
    ) -> Result<LayerVersion>;

    /// Turns an intent into the live version and every other live version of the same layer, target and region into
    /// a deprecated one that expires at `expires_at`, in one transaction. Doing it again changes nothing.
    async fn mark_live(
        &self,
        key: &SlotKey,
        arn: &LayerArn,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// Deprecates the live versions of a layer and target (in all regions, or only the named ones), to be deleted at
    /// `expires_at`; returns how many there were.
    async fn retire(
        &self,
        layer: &LayerName,
        target: Target,
        regions: Option<&[crate::model::Region]>,
        expires_at: Timestamp,
    ) -> Result<usize>;
}
