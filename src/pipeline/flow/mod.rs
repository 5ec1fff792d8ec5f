//! Which steps a run consists of, in which order, and who carries each out: the one description that both engines go by.
//!
//! The engine of one machine walks [`stages`]; the state machines of AWS are [made of them](definition). What a stage does
//! is [`Steps::perform`]'s matter, and is the same for both. Deliberately absent: when a stage is tried again on one
//! machine, and everything that is only about AWS.

mod asl;
mod attempt;
mod newer;
mod now;
mod outlook;
mod steps;

pub use asl::{INLINE_ITEMS, Machine, definition};
pub use attempt::{Answer, Item, StepCall};
#[cfg(test)]
pub(in crate::pipeline) use newer::Current;
pub(in crate::pipeline) use outlook::Outlook;
pub(in crate::pipeline) use steps::is_carried_out;
pub use steps::{Steps, task_key};

use crate::model::RunKind;
use serde::{Deserialize, Serialize};

/// Who carries out a stage: on AWS a function with a role of its own, on one machine the one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worker {
    /// Reads GitHub and the store, and decides.
    Plan,
    /// Resolves and builds one layer for one target, with nothing else at hand.
    Build,
    /// Publishes layer versions, shares them and reads them back.
    Publish,
    /// Commits the tables: the only one with the deploy key.
    Tables,
    /// Says on GitHub what came of it.
    Comment,
    /// Deletes layer versions.
    Expire,
}

/// A part of a run. Each may be carried out twice; what it did is in the run's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for the turn to publish, which the run keeps until its end.
    Turn,
    /// Reads what is asked for.
    Read,
    /// Says that the work has begun.
    Announce,
    /// Finds out what has to be built; its answer has the items of [`Self::Build`].
    Prepare,
    /// Resolves and builds one layer for one target.
    Build,
    /// Plans; its answer has the items of [`Self::Publish`].
    Plan,
    /// Brings one layer live for one target in all its regions, or retires it.
    Publish,
    /// Builds the zip of one layer for one target again, which was gone when it was to be published.
    Rebuild,
    /// Brings live what was to be built again; where it was not, it is told as failed.
    PublishRebuilt,
    /// Brings permissions, open intents and expiry dates to what is asked for.
    Settle,
    /// Reads back what is recorded as published.
    Observe,
    /// Reads what is asked for at every try, because a look, or the time until the run was taken up again, may have been long.
    Reread,
    /// Mends what is wrong.
    Repair,
    /// Deletes what has expired.
    Expire,
    /// Commits the tables.
    Tables,
    /// Brings the public names in Parameter Store up to date.
    Parameters,
    /// Writes messages of what happened, and keeps the issue about what goes away right.
    Notify,
    /// Tells owners what could not be rebuilt.
    Owners,
    /// Says what came of it: check run first, comment last.
    Answer,
}

/// The stages of a run, in order. An engine ends the run after the last one, or after the first that fails for good.
#[must_use]
pub fn stages(kind: RunKind) -> &'static [Stage] {
    use Stage::*;
    match kind {
        RunKind::Plan => &[Read, Announce, Prepare, Build, Plan, Answer],
        RunKind::Apply => &[
            Turn, Read, Prepare, Build, Plan, Reread, Publish, Settle, Tables, Parameters, Notify,
            Answer,
        ],
        RunKind::Upgrade => &[
            Turn, Read, Prepare, Build, Plan, Reread, Publish, Settle, Tables, Parameters, Notify,
            Owners,
        ],
        // Deleting cannot be taken back: a run that was killed goes on by what is asked for then.
        RunKind::Expire => &[Turn, Reread, Expire, Tables, Parameters, Notify],
        // Looking takes long and holds up nobody; the turn is for what it mends.
        RunKind::Verify => &[
            Read, Observe, Turn, Reread, Repair, Tables, Parameters, Notify,
        ],
    }
}

/// Whether a stage belongs to a kind of run: in its order, or as what is done for a [lost zip](Stage::when_lost).
#[must_use]
pub fn is_of(kind: RunKind, stage: Stage) -> bool {
    let mut all = stages(kind).iter();
    all.any(|it| *it == stage || it.when_lost().contains(&stage))
}

/// Whether a stage of a run is carried out within the turn to publish.
#[must_use]
pub fn is_within_turn(kind: RunKind, stage: Stage) -> bool {
    let is_it = |it: &Stage| *it == stage || it.when_lost().contains(&stage);
    let mut before = stages(kind).iter().take_while(|it| !is_it(it));
    before.any(|it| *it == Stage::Turn)
}

impl Stage {
    /// Who carries it out.
    #[must_use]
    pub fn worker(self) -> Worker {
        match self {
            Self::Turn | Self::Read | Self::Prepare | Self::Plan | Self::Reread => Worker::Plan,
            Self::Build | Self::Rebuild => Worker::Build,
            Self::Publish
            | Self::PublishRebuilt
            | Self::Settle
            | Self::Observe
            | Self::Repair
            | Self::Parameters => Worker::Publish,
            Self::Expire => Worker::Expire,
            Self::Tables => Worker::Tables,
            Self::Announce | Self::Notify | Self::Owners | Self::Answer => Worker::Comment,
        }
    }

    /// How many of its items are worked on at once; `None` when it has no items.
    #[must_use]
    pub fn at_once(self) -> Option<usize> {
        match self {
            // Most of it is waiting for the package index; a function does one.
            Self::Build => Some(40),
            // Each goes to all its regions at once, and a region takes 15 calls a second of everybody together.
            Self::Publish => Some(8),
            _ => None,
        }
    }

    /// Whether its answer has the items of the next stage that has some.
    #[must_use]
    pub fn gives_items(self) -> bool {
        matches!(self, Self::Prepare | Self::Plan)
    }

    /// What is done for an item of which this stage [finds the zip lost](crate::pipeline::StepFailure::artifact_lost), in
    /// order; the last says what came of the item.
    #[must_use]
    pub fn when_lost(self) -> &'static [Self] {
        match self {
            Self::Publish => &[Self::Rebuild, Self::PublishRebuilt],
            _ => &[],
        }
    }

    /// Whether the run goes on when this cannot be done in all its tries: what is live is listed and told all the same.
    #[must_use]
    pub fn may_fail(self) -> bool {
        matches!(self, Self::Publish | Self::Tables)
    }

    /// Seconds that one try may take on AWS, where 900 is the most (AWS Lambda quotas, "Function timeout").
    #[must_use]
    pub fn seconds(self) -> u32 {
        match self.worker() {
            // A catalog's first tables may be many: all of them are one push.
            Worker::Build | Worker::Publish | Worker::Tables | Worker::Expire => 900,
            Worker::Plan | Worker::Comment => 300,
        }
    }

    /// As in the state of a run and in the names of states.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Read => "read",
            Self::Announce => "announce",
            Self::Prepare => "prepare",
            Self::Build => "build",
            Self::Plan => "plan",
            Self::Publish => "publish",
            Self::Rebuild => "rebuild",
            Self::PublishRebuilt => "publish_rebuilt",
            Self::Settle => "settle",
            Self::Observe => "observe",
            Self::Reread => "reread",
            Self::Repair => "repair",
            Self::Expire => "expire",
            Self::Tables => "tables",
            Self::Parameters => "parameters",
            Self::Notify => "notify",
            Self::Owners => "owners",
            Self::Answer => "answer",
        }
    }
}
