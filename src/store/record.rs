//! Everything a store keeps, as values that another store takes in.

use crate::model::{
    BuildRecord, Conversation, Delivery, Digest, Event, LayerVersion, NewsKind, Notification, Run,
    SlotKey, StepRecord, Visibility,
};
use serde::{Deserialize, Serialize};

/// One thing that a store keeps. A sequence is the place in the order of writing among records of its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A delivery of a webhook.
    Delivery {
        /// As it arrived.
        delivery: Delivery,
    },
    /// What happened on GitHub.
    Event {
        /// Its place.
        sequence: u64,
        /// What happened.
        event: Event,
        /// What came of it; `None` while it waits.
        outcome: Option<String>,
    },
    /// A run.
    Run {
        /// Its place.
        sequence: u64,
        /// How far it has come.
        run: Run,
    },
    /// A step of a run's journal.
    Step {
        /// Its place.
        sequence: u64,
        /// With its output.
        step: StepRecord,
    },
    /// What was said on a pull request.
    Conversation {
        /// The newest.
        conversation: Conversation,
    },
    /// A build.
    Build {
        /// Its place.
        sequence: u64,
        /// With its lock and manifest.
        build: Box<BuildRecord>,
    },
    /// A layer version, deleted ones and intents included.
    LayerVersion {
        /// Its place.
        sequence: u64,
        /// How far it has come.
        version: LayerVersion,
        /// Who may use it, as it was last read back.
        visibility: Option<Visibility>,
        /// Of an intent: whether nothing that was sent for it can be at work any more.
        #[serde(default)]
        is_idle: bool,
    },
    /// What became of a layer version and was not told yet.
    News {
        /// Its place.
        sequence: u64,
        /// What happened.
        kind: NewsKind,
        /// The version's place.
        version: u64,
        /// The version's key.
        key: SlotKey,
    },
    /// A message on its way.
    Notification {
        /// Its place.
        sequence: u64,
        /// With its tries.
        notification: Notification,
    },
}

impl Record {
    /// What kind of thing it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delivery { .. } => "deliveries",
            Self::Event { .. } => "events",
            Self::Run { .. } => "runs",
            Self::Step { .. } => "steps",
            Self::Conversation { .. } => "conversations",
            Self::Build { .. } => "builds",
            Self::LayerVersion { .. } => "layer versions",
            Self::News { .. } => "news",
            Self::Notification { .. } => "notifications",
        }
    }

    /// What names it among those of its kind.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Delivery { delivery } => delivery.id.clone(),
            Self::Event { event, .. } => event.key.clone(),
            Self::Run { run, .. } => run.id.clone(),
            Self::Step { step, .. } => format!("{} of {}", step.name, step.run),
            Self::Conversation { conversation } => conversation.pull_request.to_string(),
            Self::Build { build, .. } => format!(
                "{} {} {} {}",
                build.layer, build.target, build.fingerprint, build.artifact.digest
            ),
            // A version has no other name while it is an intent, or when it was published and deleted twice.
            Self::LayerVersion {
                sequence, version, ..
            } => format!(
                "{} {} {} {sequence}",
                version.key.layer, version.key.target, version.key.region
            ),
            Self::News { sequence, .. } => sequence.to_string(),
            Self::Notification { notification, .. } => {
                let to = Digest::of(notification.destination.to_string().as_bytes());
                format!("{} to {}", notification.id, to.short())
            }
        }
    }
}

/// Some records, and where the next ones begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In no order; there may be none though more follow.
    pub records: Vec<Record>,
    /// What the next page is asked for by; `None` after the last one.
    pub next: Option<String>,
}
