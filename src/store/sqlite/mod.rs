//! The embedded store: one SQLite file, which several processes may share.
//!
//! Every write is one `BEGIN IMMEDIATE` transaction, so that two writers queue up instead of one of them failing half
//! way; what must never be there twice is held by unique indexes (`migrations/0001.sql`). Calls run on blocking
//! threads, one at a time per process. Deliberately absent: caches, and a pool of connections, which one bot's load
//! does not need.

mod builds;
mod columns;
mod connection;
mod counts;
mod deliveries;
mod layer_versions;
mod lifetimes;
mod listing;
mod migrations;
mod notifications;
mod opening;
mod runs;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod transfer;
mod turn;

use super::{Begun, Page, Record, Recorded, Result, SeenChanges, Store, TableChanges, Turn};
use crate::model::{
    BuildRecord, Conversation, Delivery, Digest, Event, LayerArn, LayerName, LayerState,
    LayerVersion, News, Notification, Region, Run, RunKind, RunState, SlotKey, StepRecord, Target,
    Timestamp, Visibility,
};
use async_trait::async_trait;
pub use opening::SqliteStore;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Store for SqliteStore {
    async fn record_delivery(
        &self,
        delivery: &Delivery,
        event: Option<&Event>,
    ) -> Result<Recorded> {
        let (delivery, event) = (delivery.clone(), event.cloned());
        self.write(move |tx| deliveries::record(tx, &delivery, event.as_ref()))
            .await
    }

    async fn has_delivery(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.read(move |tx| deliveries::is_there(tx, &id)).await
    }

    async fn waiting_events(&self, limit: usize) -> Result<Vec<Event>> {
        self.read(move |tx| deliveries::waiting(tx, limit)).await
    }

    async fn finish_event(&self, key: &str, outcome: &str) -> Result<()> {
        let (key, outcome) = (key.to_owned(), outcome.to_owned());
        self.write(move |tx| deliveries::finish(tx, &key, &outcome))
            .await
    }

    async fn create_run(&self, run: &Run) -> Result<bool> {
        let run = run.clone();
        self.write(move |tx| runs::create(tx, &run)).await
    }

    async fn run(&self, id: &str) -> Result<Option<Run>> {
        let id = id.to_owned();
        self.read(move |tx| runs::get(tx, &id)).await
    }

    async fn runs_in(&self, state: RunState) -> Result<Vec<Run>> {
        self.read(move |tx| runs::in_state(tx, state)).await
    }

    async fn run_counts(&self) -> Result<BTreeMap<RunState, u64>> {
        self.read(counts::of_runs).await
    }

    async fn runs_of(&self, pull_request: u64) -> Result<Vec<Run>> {
        self.read(move |tx| runs::of(tx, pull_request)).await
    }

    async fn runs_of_kind(&self, kind: RunKind, limit: usize) -> Result<Vec<Run>> {
        self.read(move |tx| runs::of_kind(tx, kind, limit)).await
    }

    async fn first_run_at(&self) -> Result<Option<Timestamp>> {
        self.read(lifetimes::first_run_at).await
    }

    async fn end_run(&self, id: &str, state: RunState, detail: Option<&str>) -> Result<bool> {
        let (id, detail) = (id.to_owned(), detail.map(str::to_owned));
        self.write(move |tx| runs::end(tx, &id, state, detail.as_deref()))
            .await
    }

    async fn attach_pull_request(&self, id: &str, pull_request: u64) -> Result<()> {
        let id = id.to_owned();
        self.write(move |tx| runs::attach_pull_request(tx, &id, pull_request))
            .await
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |tx| runs::prune(tx, before, limit)).await
    }

    async fn put_step(&self, step: &StepRecord) -> Result<()> {
        let step = step.clone();
        self.write(move |tx| runs::put_step(tx, &step)).await
    }

    async fn steps(&self, run: &str) -> Result<Vec<StepRecord>> {
        let run = run.to_owned();
        self.read(move |tx| runs::steps(tx, &run)).await
    }

    async fn step(&self, run: &str, name: &str) -> Result<Option<StepRecord>> {
        let (run, name) = (run.to_owned(), name.to_owned());
        self.read(move |tx| runs::step(tx, &run, &name)).await
    }

    async fn conversation(&self, pull_request: u64) -> Result<Option<Conversation>> {
        self.read(move |tx| deliveries::conversation(tx, pull_request))
            .await
    }

    async fn put_conversation(&self, conversation: &Conversation) -> Result<()> {
        let conversation = conversation.clone();
        self.write(move |tx| deliveries::put_conversation(tx, &conversation))
            .await
    }

    async fn put_build(&self, build: &BuildRecord) -> Result<()> {
        let build = build.clone();
        self.write(move |tx| builds::put(tx, &build)).await
    }

    async fn build(
        &self,
        layer: &LayerName,
        target: Target,
        fingerprint: &Digest,
    ) -> Result<Option<BuildRecord>> {
        let (layer, fingerprint) = (layer.clone(), *fingerprint);
        self.read(move |tx| builds::get(tx, &layer, target, &fingerprint))
            .await
    }

    async fn builds(&self) -> Result<Vec<BuildRecord>> {
        self.read(builds::publishable).await
    }

    async fn builds_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<BuildRecord>> {
        let layers = layers.clone();
        self.read(move |tx| builds::publishable_of(tx, &layers))
            .await
    }

    async fn layer_versions(&self) -> Result<Vec<LayerVersion>> {
        self.read(layer_versions::list).await
    }

    async fn layer_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>> {
        let layers = layers.clone();
        self.read(move |tx| layer_versions::list_of(tx, &layers))
            .await
    }

    async fn deleted_versions(
        &self,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<LayerVersion>> {
        let layers = layers.cloned();
        self.read(move |tx| layer_versions::deleted(tx, layers.as_ref()))
            .await
    }

    async fn listed_versions_of(&self, layers: &BTreeSet<LayerName>) -> Result<Vec<LayerVersion>> {
        let layers = layers.clone();
        self.read(move |tx| listing::versions_of(tx, &layers)).await
    }

    async fn live_in(&self, target: Target, region: &Region) -> Result<Vec<LayerVersion>> {
        let region = region.clone();
        self.read(move |tx| listing::live_in(tx, target, &region))
            .await
    }

    async fn places(&self) -> Result<BTreeSet<(Target, Region)>> {
        self.read(layer_versions::places).await
    }

    async fn version_counts(&self) -> Result<BTreeMap<LayerState, u64>> {
        self.read(counts::of_versions).await
    }

    async fn turn_to_publish(&self) -> Result<Turn> {
        // Its folder has to be there for the lock.
        self.read(|_| Ok(())).await?;
        self.turns.take().await
    }

    async fn begin_publish(&self, key: &SlotKey, version: &str, now: Timestamp) -> Result<Begun> {
        let (key, version) = (key.clone(), version.to_owned());
        self.write(move |tx| layer_versions::begin_publish(tx, &key, &version, now))
            .await
    }

    async fn note_idle(&self, key: &SlotKey) -> Result<()> {
        let key = key.clone();
        self.write(move |tx| layer_versions::set_idle(tx, &key, true))
            .await
    }

    async fn mark_live(
        &self,
        key: &SlotKey,
        arn: &LayerArn,
        visibility: &Visibility,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()> {
        let (key, arn, visibility) = (key.clone(), arn.clone(), visibility.clone());
        self.write(move |tx| {
            layer_versions::mark_live(tx, &key, &arn, &visibility, now, expires_at)
        })
        .await
    }

    async fn intents(&self) -> Result<Vec<LayerVersion>> {
        self.read(lifetimes::intents).await
    }

    async fn drop_intent(&self, key: &SlotKey) -> Result<bool> {
        let key = key.clone();
        self.write(move |tx| lifetimes::drop_intent(tx, &key)).await
    }

    async fn expired(&self, now: Timestamp) -> Result<Vec<LayerVersion>> {
        self.read(move |tx| lifetimes::expired(tx, now)).await
    }

    async fn mark_deleted(&self, arns: &[LayerArn]) -> Result<usize> {
        let arns = arns.to_vec();
        self.write(move |tx| lifetimes::mark_deleted(tx, &arns))
            .await
    }

    async fn that_may_be_kept(&self, layers: &[LayerName]) -> Result<Vec<LayerVersion>> {
        let layers = layers.to_vec();
        self.read(move |tx| lifetimes::that_may_be_kept(tx, &layers))
            .await
    }

    async fn set_expiries(&self, expiries: &[(LayerArn, Option<Timestamp>)]) -> Result<()> {
        let expiries = expiries.to_vec();
        self.write(move |tx| lifetimes::set_expiries(tx, &expiries))
            .await
    }

    async fn shared_otherwise(
        &self,
        visibility: &Visibility,
        layers: Option<&BTreeSet<LayerName>>,
    ) -> Result<Vec<(LayerVersion, Option<Visibility>)>> {
        let (visibility, layers) = (visibility.clone(), layers.cloned());
        self.read(move |tx| lifetimes::shared_otherwise(tx, &visibility, layers.as_ref()))
            .await
    }

    async fn listed_for(&self) -> Result<Vec<Visibility>> {
        self.read(listing::listed_for).await
    }

    async fn list_for(&self, for_whom: &[Visibility]) -> Result<()> {
        let for_whom = for_whom.to_vec();
        self.write(move |tx| listing::list_for(tx, &for_whom)).await
    }

    async fn record_visibility(&self, arn: &LayerArn, visibility: &Visibility) -> Result<()> {
        let (arn, visibility) = (arn.clone(), visibility.clone());
        self.write(move |tx| lifetimes::record_visibility(tx, &arn, &visibility))
            .await
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
        let (key, version, arn) = (key.clone(), version.to_owned(), arn.clone());
        let visibility = visibility.clone();
        self.write(move |tx| {
            lifetimes::adopt(tx, &key, &version, &arn, &visibility, now, expires_at)
        })
        .await
    }

    async fn retire(
        &self,
        layer: &LayerName,
        target: Target,
        regions: Option<&[Region]>,
        expires_at: Timestamp,
    ) -> Result<usize> {
        let (layer, regions) = (layer.clone(), regions.map(<[Region]>::to_vec));
        self.write(move |tx| {
            layer_versions::retire(tx, &layer, target, regions.as_deref(), expires_at)
        })
        .await
    }

    async fn table_changes(&self) -> Result<TableChanges> {
        self.write(tables::changes).await
    }

    async fn note_tables(&self, seen: &SeenChanges, note: &str) -> Result<()> {
        let (sequence, note) = (seen.sequence, note.to_owned());
        self.write(move |tx| tables::note(tx, sequence, &note))
            .await
    }

    async fn news(&self) -> Result<Vec<News>> {
        self.read(notifications::news).await
    }

    async fn put_notifications(&self, notifications: &[Notification], told: &[u64]) -> Result<()> {
        let (notifications, told) = (notifications.to_vec(), told.to_vec());
        self.write(move |tx| notifications::put(tx, &notifications, &told))
            .await
    }

    async fn due_notifications(&self, now: Timestamp, limit: usize) -> Result<Vec<Notification>> {
        self.read(move |tx| notifications::due(tx, now, limit))
            .await
    }

    async fn begin_attempt(
        &self,
        notification: &Notification,
        next_attempt_at: Timestamp,
    ) -> Result<bool> {
        let notification = notification.clone();
        self.write(move |tx| notifications::begin_attempt(tx, &notification, next_attempt_at))
            .await
    }

    async fn end_notification(&self, notification: &Notification) -> Result<()> {
        let notification = notification.clone();
        self.write(move |tx| notifications::end(tx, &notification))
            .await
    }

    async fn export(&self, after: Option<&str>) -> Result<Page> {
        let after = after.map(str::to_owned);
        self.read(move |tx| transfer::export(tx, after.as_deref()))
            .await
    }

    async fn import(&self, records: &[Record]) -> Result<()> {
        let records = records.to_vec();
        self.on_connection(move |connection| transfer::import(connection, &records))
            .await
    }
}
