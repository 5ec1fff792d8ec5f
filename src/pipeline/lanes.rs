//! Which waiting events are handled at the same time: those of one pull request in turn, those of others beside them.
//!
//! So what GitHub does not answer, or answers late, holds up its own pull request and no other.

use super::intake::Intake;
use crate::github::{Happening, What};
use crate::model::Event;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore};

/// Events looked at in one go.
const BATCH: usize = 1_000;
/// Lanes worked on at once: most of the work is waiting for GitHub.
const AT_ONCE: usize = 32;

/// The pull request that events are about; the default branch is a lane of its own.
type Lane = Option<u64>;

/// The lanes with somebody at work in them.
#[derive(Debug)]
pub(super) struct Lanes {
    busy: Mutex<BTreeSet<Lane>>,
    at_once: Semaphore,
    ended: Notify,
}

impl Lanes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            busy: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
            ended: Notify::new(),
        })
    }

    /// The lane, unless somebody is at work in it.
    fn enter(self: &Arc<Self>, lane: Lane) -> Option<Turn> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(lane).then(|| Turn {
            lanes: Arc::clone(self),
            lane,
        })
    }
}

/// Being at work in a lane; it is free again when this is dropped, after a panic, too.
struct Turn {
    lanes: Arc<Lanes>,
    lane: Lane,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lanes
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.lane);
    }
}

impl Intake {
    /// Starts handling every event that waits and that nobody is at work on.
    ///
    /// # Errors
    /// When the store fails. An event that cannot be handled for a reason that may pass stays where it is.
    pub async fn take_up_waiting(&self) -> anyhow::Result<()> {
        let store = &self.bot.workshop.store;
        let wanted: BTreeSet<Lane> = store
            .waiting_events(BATCH)
            .await?
            .iter()
            .map(lane)
            .collect();
        let turns: Vec<Turn> = wanted
            .into_iter()
            .filter_map(|lane| self.lanes.enter(lane))
            .collect();
        if turns.is_empty() {
            return Ok(());
        }
        // Read again: what somebody finished before leaving a lane is not to be done once more.
        let mut events: BTreeMap<Lane, Vec<Event>> = BTreeMap::new();
        for event in store.waiting_events(BATCH).await? {
            events.entry(lane(&event)).or_default().push(event);
        }
        for turn in turns {
            let events = events.remove(&turn.lane).unwrap_or_default();
            tokio::spawn(self.clone().work_off(turn, events));
        }
        Ok(())
    }

    /// Handles every event that waits, and those that come meanwhile, until none is left that can be handled now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn work_off_waiting(&self) -> anyhow::Result<()> {
        loop {
            let mut lanes: BTreeMap<Lane, Vec<Event>> = BTreeMap::new();
            for event in self.bot.workshop.store.waiting_events(BATCH).await? {
                lanes.entry(lane(&event)).or_default().push(event);
            }
            let work: Vec<_> = lanes
                .into_iter()
                .filter_map(|(lane, events)| Some((self.lanes.enter(lane)?, events)))
                .map(|(turn, events)| self.clone().work_off(turn, events))
                .collect();
            if join_all(work).await.iter().sum::<usize>() == 0 {
                return Ok(());
            }
        }
    }

    /// Waits until a lane was left in which something was done: more may have come for it meanwhile.
    pub async fn lane_ended(&self) {
        self.lanes.ended.notified().await;
    }

    /// Returns how many are finished.
    async fn work_off(self, turn: Turn, events: Vec<Event>) -> usize {
        let mut finished = 0;
        {
            // The semaphore is never closed; should it be, the work goes on unbounded.
            let _permit = self.lanes.at_once.acquire().await.ok();
            for event in events {
                match self.finish(&event).await {
                    Ok(true) => finished += 1,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(event = %event.key, "event {} waits: {error:#}", event.key);
                    }
                }
            }
        }
        drop(turn);
        if finished > 0 {
            self.lanes.ended.notify_one();
        }
        finished
    }
}

fn lane(event: &Event) -> Lane {
    let happening: Happening = serde_json::from_value(event.payload.clone()).ok()?;
    match happening.what {
        What::PullRequestChanged { number, .. }
        | What::PullRequestClosed { number, .. }
        | What::Commented { number, .. } => Some(number),
        What::DefaultBranchPushed { .. } | What::CheckRequested { .. } | What::Ping { .. } => None,
    }
}
