//! What the bot remembers: layer versions, builds, deliveries, events, runs and their journaled steps.
//!
//! Deliberately absent: decisions. A store keeps what it is told and guards its invariants (one live version per
//! layer, target and region; one event per key; one run per id), each call in one transaction.

use crate::model::{
    BuildRecord, Conversation, Delivery, Digest, Event, LayerArn, LayerName, LayerState,
    LayerVersion, News, Notification, Region, Run, RunKind, RunState, SlotKey, StepRecord, Target,
    Timestamp, Visibility,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod conformance;
mod copy;
mod dynamodb;
mod record;
mod sqlite;
mod turn;

pub use copy::{Copied, CopyRefused, copy};
pub use dynamodb::{CLOCK_SKEW, Claimant, DynamoDbStore, Holder, Lease, Term, table_definition};
pub use record::{Page, Record};
pub use sqlite::SqliteStore;
pub use turn::Turn;

/// How many runs of each kind are never removed, the last ones: what is looked up by kind is among them, such as what the
/// last apply left undone.
pub const RUNS_KEPT: usize = 100;

/// A store failed; callers only report it.
pub type Result<T> = anyhow::Result<T>;

/// Whether a version may be listed that is known to be for `known`, where those may that are for one of `for_whom`.
fn may_be_listed(known: Option<&Visibility>, for_whom: &[Visibility]) -> bool {
    for_whom.is_empty() || known.is_none_or(|known| for_whom.contains(known))
}

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

/// What stands after [`Store::begin_publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The row: an intent, or the live version that there is already.
    pub version: LayerVersion,
    /// What is known of whoever was at it before.
    pub earlier: Earlier,
}

/// What is known of an earlier try to publish what an intent is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// There was none: the intent is new.
    Never,
    /// Nothing that was sent can be at work any more.
    Over,
    /// Nobody noted the end of it, as when the process died: what it sent may be at work.
    Open,
}

/// What the committed tables may not show yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChanges {
    /// Where a version was published, superseded, deleted, shared, hidden or adopted, or got another expiry date.
    pub slots: BTreeSet<(LayerName, Target, Region)>,
    /// Layers of which a build was put or went.
    pub layers: BTreeSet<LayerName>,
    /// What was noted with the last commit of the tables; `None` when there was none.
    pub note: Option<String>,
    /// Tells [`Store::note_tables`] which changes these are.
    pub seen: SeenChanges,
}

/// Which changes somebody looked at. Only the store that gave it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenChanges {
    /// Higher than at any earlier look between which and this one something changed.
    sequence: u64,
    /// The name and the mark of each, in stores whose changes need not be there in the order of their numbers.
    marks: Vec<(String, String)>,
}

/// The bot's memory.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes down a delivery and the event it carries (`None`: nothing the bot acts on), durably, in one transaction.
    async fn record_delivery(&self, delivery: &Delivery, event: Option<&Event>)
    -> Result<Recorded>;

    /// Whether a delivery with this id was written down.
    async fn has_delivery(&self, id: &str) -> Result<bool>;

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

    /// How many runs there are in each state; states without any are left out. Asked often: it reads no run.
    async fn run_counts(&self) -> Result<BTreeMap<RunState, u64>>;

    /// Runs of a pull request, oldest first.
    async fn runs_of(&self, pull_request: u64) -> Result<Vec<Run>>;

    /// The last `limit` runs of a kind, newest first.
    async fn runs_of_kind(&self, kind: RunKind, limit: usize) -> Result<Vec<Run>>;

    /// When the first run of all was written down.
    async fn first_run_at(&self) -> Result<Option<Timestamp>>;

    /// Ends an open run; `false` when it was not open any more (nothing is changed then).
    async fn end_run(&self, id: &str, state: RunState, detail: Option<&str>) -> Result<bool>;

    /// Names the pull request that a run answers on, and opens the run again if it was done, so that it is answered.
    async fn attach_pull_request(&self, id: &str, pull_request: u64) -> Result<()>;

    /// Removes runs that were written down before a time and have ended, with their journals: at most `limit`, the oldest
    /// first; returns how many. Whatever their age, the last [`RUNS_KEPT`] of each kind stay, and all of a pull request
    /// that has a younger one.
    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Writes a step into a run's journal, in place of an earlier record of that step.
    async fn put_step(&self, step: &StepRecord) -> Result<()>;

    /// A run's journal, in the order the steps were first written.
    async fn steps(&self, run: &str) -> Result<Vec<StepRecord>>;

    /// One step of a run's journal.
    async fn step(&self, run: &str, name: &str) -> Result<Option<StepRecord>>;

    /// What was said on a pull request.
    async fn conversation(&self, pull_request: u64) -> Result<Option<Conversation>>;

    /// Remembers what was said on a pull request.
    async fn put_conversation(&self, conversation: &Conversation) -> Result<()>;

    /// Remembers a build, in place of an earlier one of the same zip with the same layer, target and fingerprint.
    async fn put_build(&self, build: &BuildRecord) -> Result<()>;

    /// The newest build with this fingerprint.
    async fn build(
        &self,
        layer: &LayerName,
        target: Target,
        fingerprint: &Digest,
    ) -> Result<Option<BuildRecord>>;

    /// Every build whose zip is, or may be, published, oldest first: one for each layer, target, fingerprint and digest.
    /// What was published and has been deleted everywhere since is left out.
    async fn builds(&self) -> Result<Vec<BuildRecord>>;

    /// Those of some layers, those of each layer oldest first.
    async fn builds_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<BuildRecord>>;

    /// Every layer version that is not deleted, intents included, in the order of [`SlotKey`], then by age.
    async fn layer_versions(&self) -> Result<Vec<LayerVersion>>;

    /// Those of some layers, in the same order.
    async fn layer_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>>;

    /// Every layer version that was deleted, in any order; those of some layers, where they are given.
    async fn deleted_versions(
        &self,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<LayerVersion>>;

    /// Those of some layers that may be listed ([`Store::listed_for`]), in the same order.
    async fn listed_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>>;

    /// The live versions for a target in a region that may be listed, in the order of [`SlotKey`]: what the read API answers
    /// with. It may be a moment behind.
    async fn live_in(&self, target: Target, region: &Region) -> Result<Vec<LayerVersion>>;

    /// Where something is live, by target and region. It may be a moment behind, and reads no layer's versions but one a place.
    async fn places(&self) -> Result<BTreeSet<(Target, Region)>>;

    /// How many layer versions that are not deleted there are in each state; states without any are left out. Asked often:
    /// it reads no layer version, however many there are.
    async fn version_counts(&self) -> Result<BTreeMap<LayerState, u64>>;

    /// Waits until nobody else who shares this store publishes. What is to be published is decided within the turn:
    /// two that decide side by side would both find it missing.
    async fn turn_to_publish(&self) -> Result<Turn>;

    /// Writes down the intent to publish, unless an intent or a live version with that key exists; returns the row
    /// that stands now. A deprecated or deleted version with that key does not count: it is published anew. From now on
    /// something may be at work for the intent, until [`Self::note_idle`].
    async fn begin_publish(&self, key: &SlotKey, version: &str, now: Timestamp) -> Result<Begun>;

    /// Notes that nothing that was sent for an intent can be at work any more. Without an intent it does nothing.
    async fn note_idle(&self, key: &SlotKey) -> Result<()>;

    /// Turns an intent into the live version and every other live version of the same layer, target and region into
    /// a deprecated one that expires at `expires_at`, in one transaction. `visibility` is who may use it, as it was read
    /// back. Doing it again changes nothing.
    async fn mark_live(
        &self,
        key: &SlotKey,
        arn: &LayerArn,
        visibility: &Visibility,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// Deprecates the live versions of a layer and target (in all regions, or only the named ones), to be deleted at
    /// `expires_at`; returns how many there were.
    async fn retire(
        &self,
        layer: &LayerName,
        target: Target,
        regions: Option<&[Region]>,
        expires_at: Timestamp,
    ) -> Result<usize>;

    /// Every intent that has not become a version, oldest first.
    async fn intents(&self) -> Result<Vec<LayerVersion>>;

    /// Gives an intent up; `false` when there is none.
    async fn drop_intent(&self, key: &SlotKey) -> Result<bool>;

    /// Deprecated versions whose time is over at `now`, the longest expired first.
    async fn expired(&self, now: Timestamp) -> Result<Vec<LayerVersion>>;

    /// Marks live and deprecated versions as deleted; returns how many there were. What is deleted stays so.
    async fn mark_deleted(&self, arns: &[LayerArn]) -> Result<usize>;

    /// Deprecated versions that no longer expire, and all deprecated ones of these layers.
    async fn that_may_be_kept(&self, layers: &[LayerName]) -> Result<Vec<LayerVersion>>;

    /// Sets when deprecated versions expire, `None` being never; others are left alone.
    async fn set_expiries(&self, expiries: &[(LayerArn, Option<Timestamp>)]) -> Result<()>;

    /// Live and deprecated versions that are not known to be for exactly those whom the visibility names, with whom they
    /// are known to be for; `None` where nobody looked. Those of some layers are told as they are now; of all layers, what
    /// changed a moment ago may be missing.
    async fn shared_otherwise(
        &self,
        visibility: &Visibility,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<(LayerVersion, Option<Visibility>)>>;

    /// For whom those versions are that may be listed. Of which nobody knows for whom they are may be as well, and all may
    /// while nobody noted this: it is empty then.
    async fn listed_for(&self) -> Result<Vec<Visibility>>;

    /// Notes that, in place of what was noted before.
    async fn list_for(&self, for_whom: &[Visibility]) -> Result<()>;

    /// Writes down who may use a version, as it was read back.
    async fn record_visibility(&self, arn: &LayerArn, visibility: &Visibility) -> Result<()>;

    /// Writes down a version that the registry has and nobody recorded, as a deprecated one; `false` when a row speaks
    /// for it already (nothing is changed then).
    async fn adopt(
        &self,
        key: &SlotKey,
        version: &str,
        arn: &LayerArn,
        visibility: &Visibility,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool>;

    /// What the tables that were committed last do not show, written down in the transactions of the changes themselves.
    async fn table_changes(&self) -> Result<TableChanges>;

    /// Notes that the tables show these changes, so that they are behind no more. A change that came after the look stays,
    /// and so does what somebody noted after a later look.
    async fn note_tables(&self, seen: &SeenChanges, note: &str) -> Result<()>;

    /// What became of layer versions and was not told yet, in the order it happened. It is written in the transaction of
    /// the change itself, so that nothing that happens is forgotten.
    async fn news(&self) -> Result<Vec<News>>;

    /// Writes messages down, less those that are there already for the same destination, and marks news (by
    /// [`News::sequence`]) as told, in one transaction.
    async fn put_notifications(&self, notifications: &[Notification], told: &[u64]) -> Result<()>;

    /// Messages whose next try is due, the longest due first, at most `limit`.
    async fn due_notifications(&self, now: Timestamp, limit: usize) -> Result<Vec<Notification>>;

    /// Counts a try and sets the time of the next one, before it is made; `false` when somebody else has begun it.
    async fn begin_attempt(
        &self,
        notification: &Notification,
        next_attempt_at: Timestamp,
    ) -> Result<bool>;

    /// Removes a message: it was delivered, or given up.
    async fn end_notification(&self, notification: &Notification) -> Result<()>;

    /// A page of everything there is, by what the page before it says, or the first one. Of what changes meanwhile, either
    /// state may be on it.
    async fn export(&self, after: Option<&str>) -> Result<Page>;

    /// Takes in what another store exported, in any order, as it is: what is there under the same name is replaced, and
    /// nothing follows from it. When it breaks off, any of the records may be there, each one whole.
    async fn import(&self, records: &[Record]) -> Result<()>;
}
