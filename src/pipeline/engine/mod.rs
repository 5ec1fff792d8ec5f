//! Engines carry runs through their steps.
//!
//! A run is written down before it is started, so that whatever happens to the process, it is taken up again. The
//! steps themselves are the use cases of [`super`]; an engine only decides when and where they run. Deliberately
//! absent: what the steps do.

mod drive;
mod local;
mod step_functions;
mod stopping;

pub use drive::end;
pub use local::LocalEngine;
pub use step_functions::StepFunctionsEngine;

use crate::model::{Run, RunState};
use async_trait::async_trait;

/// Carries runs through their steps. One machine does it in its own process; other places have other engines.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Starts a run that the store holds as open. Starting one that is under way changes nothing.
    async fn start(&self, run: &Run);

    /// Starts every run that the store holds as open and that is not under way, oldest first; returns how many are open.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn take_up(&self) -> anyhow::Result<usize>;

    /// Ends an open run before its end, for the reason that `state` and `detail` name, and stops what it is doing.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn stop(&self, run: &Run, state: RunState, detail: &str) -> anyhow::Result<()>;
}
