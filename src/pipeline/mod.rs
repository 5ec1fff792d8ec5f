//! Use cases: plan a pull request, apply the default branch, and the engine that carries runs through their steps.
//!
//! Every use case is a list of steps with serialisable inputs and outputs. A step that is in the run's journal is not
//! done again, and a step that is done twice all the same changes nothing the second time. Deliberately absent: HTTP,
//! the command line, and any knowledge of which store, registry or engine is behind the traits.

mod aligning;
pub mod apply;
pub mod build_task;
mod building;
mod by_region;
mod commands;
mod desired;
mod elsewhere;
pub mod engine;
mod expiry;
mod failure;
pub mod flow;
pub mod intake;
mod intents;
mod journal;
mod lanes;
mod lifetimes;
mod notifying;
mod one_region;
mod parameters;
mod publishing;
pub mod pull_request;
mod rebuilding;
mod recorded;
mod redeliver;
mod report;
mod scheduled;
mod shortfall;
mod source_builds;
mod sweep;
mod tables;
mod task_bodies;
mod telling;
#[cfg(test)]
mod tests;
mod undone;
mod upgrade;
pub mod verify;
mod visibility;
mod watching;

pub use building::{SourceBuilds, settle};
pub use by_region::ArnFailure;
pub use desired::{Desired, read_policy, read_tree, retained};
pub use failure::StepFailure;
pub use intents::settle_intents;
pub use lifetimes::{Expired, expire, settle_expiries};
pub use notifying::deliver_notifications;
use notifying::write_notifications;
use parameters::put_parameters;
pub use publishing::{Carried, carry_out};
pub use recorded::recorded;
pub use redeliver::{Answered, FailedDelivery, Redeliver, redeliver};
pub use shortfall::shortfalls;
pub use tables::{Extent, commit as commit_tables, commit_message, render as render_tables};
pub use task_bodies::{BodyError, ListPlace, TaskBodies, TaskKey};
pub use telling::tell_others;
pub use upgrade::{NotRebuilt, keep_known};
pub use visibility::{Shared, list_as_tables, list_meanwhile, settle_visibility};
pub use watching::gauges;

use crate::build::Builder;
use crate::github::GithubClient;
use crate::gitrepo::CatalogRepository;
use crate::model::Timestamp;
use crate::notify::Notifier;
use crate::registry::Registry;
use crate::resolve::Resolver;
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What building needs and nothing more: no store, no registry, nobody to tell.
#[derive(Clone)]
pub struct Workbench {
    /// Finds versions.
    pub resolver: Resolver,
    /// Makes zips.
    pub builder: Builder,
    /// Tells the time.
    pub clock: Clock,
    /// A permit for each layer × target that may be fetched and assembled at once: most of it is waiting.
    pub building: Arc<Semaphore>,
}

impl Workbench {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Everything that building, publishing and remembering needs; no GitHub, no git.
#[derive(Clone)]
pub struct Workshop {
    /// Remembers.
    pub store: Arc<dyn Store>,
    /// Publishes.
    pub registry: Arc<dyn Registry>,
    /// Builds.
    pub bench: Workbench,
    /// Tells others.
    pub notifier: Notifier,
    /// The catalog repository's page, for links: `https://github.com/owner/name`.
    pub repository_page: Option<String>,
    /// Where tasks are left for whoever builds elsewhere; without it, this process builds.
    pub handover: Option<TaskBodies>,
}

impl Workshop {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.bench.now()
    }
}

/// The workshop together with the catalog repository it works for.
#[derive(Clone)]
pub struct Bot {
    /// Builds, publishes and remembers.
    pub workshop: Workshop,
    /// Reads pull requests and answers on them.
    pub github: Arc<GithubClient>,
    /// Commits the tables.
    pub catalog: CatalogRepository,
}
