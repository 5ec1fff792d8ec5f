//! The store of several machines: one table of Amazon DynamoDB, and a bucket for what is too large for an item.
//!
//! Keys are texts, `pk` and `sk`; three indexes (`work`, `list`, `live`) hold only items that have their attributes
//! ([`table_definition`]). A sequence number, from one counter, keeps the order of writing within a second. Costs are in
//! units of the price list, W for 1 KB written and R for 4 KB read, for usual sizes: a version has 0.6 KB, a build 4 KB,
//! pointers 0.2 KB. A transaction costs twice, an index once more for each change that it sees; the counter is 1 W.
//!
//! | item | pk | sk | in indexes |
//! |---|---|---|---|
//! | delivery | `DELIVERY#id` | `DELIVERY` | goes by itself after 90 days |
//! | event | `EVENT#key` | `EVENT` | `work` = `EVENT` until it is finished; goes by itself 30 days after it came, then |
//! | run, step | `RUN#id` | `RUN`, `STEP#name` | run: `work` = `RUN#state`, `list` = `RUN#kind`, by time |
//! | conversation, run of a pull request | `PULL#number` | `CONVERSATION`, `RUN#time#seq` | |
//! | layer with anything, place where anything was ever live | `LAYERS`, `PLACES` | name, `target#region` | |
//! | build | `LAYER#name` | `B#target#fingerprint#digest` | |
//! | version | `LAYER#name` | `V#target#region#seq` | `work` = `INTENT`, `DEPRECATED` (by expiry) or `KEPT`; `list` = `SHARED`, by who may use it; `live` = `region#target`, by layer |
//! | deleted version | `GONE#name` | `V#target#region#seq` | |
//! | what names an intent or live version | `LAYER#name` | `S#target#region#digest#published name` | |
//! | what names the live version | `LAYER#name` | `L#target#region` | |
//! | what names a version that is not deleted | `ARN#arn` | `ARN` | |
//! | that a zip was deleted somewhere | `LAYER#name` | `G#target#digest` | |
//! | news | `NEWS` | seq | |
//! | told news, until they are removed | `TOLD` | digest | |
//! | message | `MESSAGE#id` | digest of its destination | `work` = `MESSAGE`, by when it is due |
//! | change that the committed tables do not show | `TABLES` | `V#layer#target#region`, `B#layer#target` | |
//! | what they were made of | `TABLES` | `NOTE` | |
//! | for whom versions are that may be listed | `LISTED` | `FOR` | |
//! | counter, turn to publish | `COUNTER`, `LEASE` | `COUNTER`, `PUBLISH` | |
//!
//! | access | by | cost |
//! |---|---|---|
//! | `record_delivery` | transaction: delivery and event, both absent | 6 W + 2 W per KB of the delivery |
//! | `waiting_events`, `due_notifications` | `work`, then the items | 0.5 R + 1 R each |
//! | `finish_event` | update | 2 W |
//! | `create_run` | transaction: run absent, run of the pull request | 7 W |
//! | `run_counts`, `version_counts` | count what lies together in `work` and `list` | 0.5 R per 4 KB of the index |
//! | `run`, `conversation`, `step` | get | 1 R |
//! | `runs_in`, `runs_of_kind`, `first_run_at` | `work`, `list`, then the runs | 0.5 R + 1 R each |
//! | `runs_of` | query `PULL#number`, then the runs | 1 R + 1 R each |
//! | `end_run`, `attach_pull_request` | transaction: run unchanged | 3 W, 6 W |
//! | `put_step` | get the run and the step, put | 2 R + 3 W, or 1 W + 2 W per KB of the output, deflated |
//! | `steps` | query `RUN#id` | 1 R per 4 KB |
//! | `put_conversation` | put | 1 W |
//! | `put_build` | get; transaction: put if unchanged, change of the tables | 1 R + 11 W |
//! | `build` | query `B#target#fingerprint#` | 1 R |
//! | `builds_of`, `builds` | for each layer: query `B#` and `G#`; `V#` where something was deleted | 1 R per build, 0.15 R per version |
//! | `layer_versions_of`, `layer_versions` | for each layer: query `V#` | 0.15 R per version |
//! | `deleted_versions` | for each layer: query `GONE#` | 0.15 R per version |
//! | `live_in`, `places` | query `live`; get, and `list` less the ranges of whom is listed; `PLACES`, then one of each in `live` | 2.5 R + 0.07 R per layer; 0.5 R each |
//! | `listed_versions_of` | get; for each layer: query `V#` | 1 R + 0.15 R per version |
//! | `listed_for`, `list_for` | get, put | 1 R, 1 W |
//! | `begin_publish` | get what names the slot; transaction: that and the intent, both absent; of one that is idle: put if unchanged | 1 R + 7 W; 2 R + 4 W |
//! | `note_idle` | two gets; transaction: put if unchanged | 2 R + 4 W |
//! | `mark_live` | six gets; transaction of up to 10: intent and versions unchanged, names as they were read, news, change of the tables | 6 R + 30 W |
//! | `retire` | query `L#target#`; transactions of 20 versions: version unchanged, names removed, news, change of the tables | 0.3 R + 13 W each |
//! | `intents`, `expired` | `work`, then the versions | 0.1 R + 1 R each |
//! | `drop_intent` | two gets; transaction: intent unchanged, name removed | 2 R + 5 W |
//! | `mark_deleted` | two gets; transaction: version moved to `GONE#`, its names removed, change of the tables | 2 R + 14 W each |
//! | `that_may_be_kept` | `work` = `KEPT`; query `V#` of the layers | 1 R each, 0.15 R per version |
//! | `set_expiries`, `record_visibility` | two gets; transaction: put if unchanged, change of the tables | 2 R + 6 W each |
//! | `shared_otherwise` | `list`, less the range of that visibility; of some layers: query `V#` | 0.1 R + 1 R each; 0.15 R per version |
//! | `table_changes` | count; query `TABLES` | 1 W + 0.05 R per change, 1 R per 4 KB of the note, deflated |
//! | `note_tables` | put if no later look was noted; transactions of 100 changes: removed if they are what was seen | 2 W per KB of the note, 2 W per change |
//! | `prune_runs` | `list`, twice for each kind; of an old run: get, query `PULL#number` and `RUN#id`, removed | 5 R; 2 R + 4 W each, 1 W per step |
//! | `adopt` | transaction: name absent, version, change of the tables | 10 W |
//! | `news` | query `NEWS`, then the versions | 0.05 R + 1 R each |
//! | `put_notifications` | transaction: messages absent, what is told; then that is removed | 6 W per message, 1 W per news |
//! | `begin_attempt`, `end_notification` | get, put if unchanged; delete | 1 R + 4 W, 2 W |
//! | `turn_to_publish`, [`Lease`] | update if nobody has it, or its time is over | 1 W, and 1 W every 15 seconds |
//! | `export` | scan | 1 R per 4 KB |
//!
//! So a version costs about 41 W from intent to live and in the tables, 0.003 US cents at the on-demand price of 0.625 US dollars a million (us-east-1).
//!
//! What must not be twice is a key, read consistently and written in one transaction with what it names; a change is made
//! to what was read (`revision`) or not at all, and then decided anew. Indexes only say where to look: they may be a moment
//! behind, so that what they name is read once more and looked at. A call over many versions (`retire`, `mark_deleted`,
//! `set_expiries`) is several transactions, of which some may be done when it breaks off; called again, it goes on.
//! Deliberately absent: caches of anything that changes.

mod bodies;
mod builds;
mod changes;
mod counts;
mod deliveries;
mod item;
mod lease;
mod lifetimes;
mod listing;
mod notifications;
mod opening;
mod pruning;
mod row;
mod runs;
mod schema;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;
mod turn;
mod versions;
mod write;

use super::{Begun, Page, Record, Recorded, Result, SeenChanges, Store, TableChanges, Turn};
use crate::model::{
    BuildRecord, Conversation, Delivery, Digest, Event, LayerArn, LayerName, LayerState,
    LayerVersion, News, Notification, Region, Run, RunKind, RunState, SlotKey, StepRecord, Target,
    Timestamp, Visibility,
};
use async_trait::async_trait;
pub use lease::{CLOCK_SKEW, Claimant, Holder, Lease, Term};
pub use opening::DynamoDbStore;
pub use schema::table_definition;
use std::collections::{BTreeMap, BTreeSet};

/// When an item may go by itself (seconds since 1970): on deliveries and finished events, and on nothing else.
const EXPIRES_BY_ITSELF: &str = "expires_by_itself";

#[async_trait]
impl Store for DynamoDbStore {
    async fn record_delivery(
        &self,
        delivery: &Delivery,
        event: Option<&Event>,
    ) -> Result<Recorded> {
        deliveries::record(self, delivery, event).await
    }

    async fn has_delivery(&self, id: &str) -> Result<bool> {
        Ok(self.table.get(&schema::delivery(id)).await?.is_some())
    }

    async fn waiting_events(&self, limit: usize) -> Result<Vec<Event>> {
        deliveries::waiting(self, limit).await
    }

    async fn finish_event(&self, key: &str, outcome: &str) -> Result<()> {
        deliveries::finish(self, key, outcome).await
    }

    async fn create_run(&self, run: &Run) -> Result<bool> {
        runs::create(self, run).await
    }

    async fn run(&self, id: &str) -> Result<Option<Run>> {
        runs::get(self, id).await
    }

    async fn runs_in(&self, state: RunState) -> Result<Vec<Run>> {
        runs::with_state(self, state).await
    }

    async fn runs_of(&self, pull_request: u64) -> Result<Vec<Run>> {
        runs::of_pull_request(self, pull_request).await
    }

    async fn runs_of_kind(&self, kind: RunKind, limit: usize) -> Result<Vec<Run>> {
        runs::with_kind(self, kind, limit).await
    }

    async fn first_run_at(&self) -> Result<Option<Timestamp>> {
        runs::first_at(self).await
    }

    async fn end_run(&self, id: &str, state: RunState, detail: Option<&str>) -> Result<bool> {
        runs::end(self, id, state, detail).await
    }

    async fn attach_pull_request(&self, id: &str, pull_request: u64) -> Result<()> {
        runs::attach_pull_request(self, id, pull_request).await
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<usize> {
        pruning::prune(self, before, limit).await
    }

    async fn put_step(&self, step: &StepRecord) -> Result<()> {
        runs::put_step(self, step).await
    }

    async fn steps(&self, run: &str) -> Result<Vec<StepRecord>> {
        runs::steps(self, run).await
    }

    async fn step(&self, run: &str, name: &str) -> Result<Option<StepRecord>> {
        runs::step(self, run, name).await
    }

    async fn conversation(&self, pull_request: u64) -> Result<Option<Conversation>> {
        deliveries::conversation(self, pull_request).await
    }

    async fn put_conversation(&self, conversation: &Conversation) -> Result<()> {
        let item = deliveries::conversation_item(conversation);
        self.table.put_all(vec![item]).await
    }

    async fn put_build(&self, build: &BuildRecord) -> Result<()> {
        builds::put(self, build).await
    }

    async fn build(
        &self,
        layer: &LayerName,
        target: Target,
        fingerprint: &Digest,
    ) -> Result<Option<BuildRecord>> {
        builds::get(self, layer, target, fingerprint).await
    }

    async fn builds(&self) -> Result<Vec<BuildRecord>> {
        builds::all_publishable(self).await
    }

    async fn builds_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<BuildRecord>> {
        builds::publishable_of(self, layers).await
    }

    async fn layer_versions(&self) -> Result<Vec<LayerVersion>> {
        versions::list_of(self, &versions::layers(self).await?).await
    }

    async fn layer_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>> {
        versions::list_of(self, layers).await
    }

    async fn deleted_versions(
        &self,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<LayerVersion>> {
        versions::deleted(self, layers).await
    }

    async fn listed_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>> {
        listing::versions_of(self, layers).await
    }

    async fn live_in(&self, target: Target, region: &Region) -> Result<Vec<LayerVersion>> {
        listing::live_versions_in(self, target, region).await
    }

    async fn places(&self) -> Result<BTreeSet<(Target, Region)>> {
        versions::places(self).await
    }

    async fn turn_to_publish(&self) -> Result<Turn> {
        self.turns.take().await
    }

    async fn version_counts(&self) -> Result<BTreeMap<LayerState, u64>> {
        counts::of_versions(self).await
    }

    async fn run_counts(&self) -> Result<BTreeMap<RunState, u64>> {
        counts::of_runs(self).await
    }

    async fn begin_publish(&self, key: &SlotKey, version: &str, now: Timestamp) -> Result<Begun> {
        versions::begin_publish(self, key, version, now).await
    }

    async fn note_idle(&self, key: &SlotKey) -> Result<()> {
        lifetimes::note_idle(self, key).await
    }

    async fn mark_live(
        &self,
        key: &SlotKey,
        arn: &LayerArn,
        visibility: &Visibility,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()> {
        versions::mark_live(self, key, arn, visibility, now, expires_at).await
    }

    async fn retire(
        &self,
        layer: &LayerName,
        target: Target,
        regions: Option<&[Region]>,
        expires_at: Timestamp,
    ) -> Result<usize> {
        versions::retire(self, layer, target, regions, expires_at).await
    }

    async fn intents(&self) -> Result<Vec<LayerVersion>> {
        lifetimes::intents(self).await
    }

    async fn drop_intent(&self, key: &SlotKey) -> Result<bool> {
        lifetimes::drop_intent(self, key).await
    }

    async fn expired(&self, now: Timestamp) -> Result<Vec<LayerVersion>> {
        lifetimes::expired(self, now).await
    }

    async fn mark_deleted(&self, arns: &[LayerArn]) -> Result<usize> {
        lifetimes::mark_deleted(self, arns).await
    }

    async fn that_may_be_kept(&self, layers: &[LayerName]) -> Result<Vec<LayerVersion>> {
        lifetimes::that_may_be_kept(self, layers).await
    }

    async fn set_expiries(&self, expiries: &[(LayerArn, Option<Timestamp>)]) -> Result<()> {
        lifetimes::set_expiries(self, expiries).await
    }

    async fn shared_otherwise(
        &self,
        visibility: &Visibility,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<(LayerVersion, Option<Visibility>)>> {
        lifetimes::shared_otherwise(self, visibility, layers).await
    }

    async fn listed_for(&self) -> Result<Vec<Visibility>> {
        listing::listed_for(self).await
    }

    async fn list_for(&self, for_whom: &[Visibility]) -> Result<()> {
        listing::list_for(self, for_whom).await
    }

    async fn record_visibility(&self, arn: &LayerArn, visibility: &Visibility) -> Result<()> {
        lifetimes::record_visibility(self, arn, visibility).await
    }

    async fn adopt(
        &self,
        key: &SlotKey,
        version: &str,
        arn: &LayerArn,
        visibility: &Visibility,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        lifetimes::adopt(self, key, version, arn, visibility, now, expires_at).await
    }

    async fn table_changes(&self) -> Result<TableChanges> {
        tables::changes(self).await
    }

    async fn note_tables(&self, seen: &SeenChanges, note: &str) -> Result<()> {
        tables::note(self, seen, note).await
    }

    async fn news(&self) -> Result<Vec<News>> {
        notifications::news(self).await
    }

    async fn put_notifications(&self, notifications: &[Notification], told: &[u64]) -> Result<()> {
        notifications::put(self, notifications, told).await
    }

    async fn due_notifications(&self, now: Timestamp, limit: usize) -> Result<Vec<Notification>> {
        notifications::due(self, now, limit).await
    }

    async fn begin_attempt(
        &self,
        notification: &Notification,
        next_attempt_at: Timestamp,
    ) -> Result<bool> {
        notifications::begin_attempt(self, notification, next_attempt_at).await
    }

    async fn end_notification(&self, notification: &Notification) -> Result<()> {
        notifications::end(self, notification).await
    }

    async fn export(&self, after: Option<&str>) -> Result<Page> {
        transfer::export(self, after).await
    }

    async fn import(&self, records: &[Record]) -> Result<()> {
        transfer::import(self, records).await
    }
}
