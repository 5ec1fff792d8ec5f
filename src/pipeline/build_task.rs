//! One layer to be built for one target, with all that building it needs: what is handed to whoever builds.

use super::Workbench;
use super::building::{SourceBuilds, build_wanted};
use super::upgrade::upgrade_wanted;
use crate::model::{LayerName, LayerRequest, Policy, Target};
use crate::plan::{BuildState, Wanted};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildMode {
    /// Build what was never built.
    New,
    /// Resolve anew, and build where that comes to other wheels.
    Upgrade,
}

/// One layer to be built for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildTask {
    /// The run.
    pub run: String,
    /// What is wanted, with the build that is known of it.
    pub wanted: Wanted,
    /// What was asked for.
    pub request: LayerRequest,
    /// The policy.
    pub policy: Policy,
    /// What is to be done.
    pub mode: BuildMode,
    /// Whether packages may be built from source.
    pub sources: SourceBuilds,
}

impl BuildTask {
    /// A task of a run.
    #[must_use]
    pub fn new(
        run: &str,
        wanted: &Wanted,
        request: &LayerRequest,
        policy: &Policy,
        mode: BuildMode,
        sources: SourceBuilds,
    ) -> Self {
        Self {
            run: run.to_owned(),
            wanted: wanted.clone(),
            request: request.clone(),
            policy: policy.clone(),
            mode,
            sources,
        }
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> &LayerName {
        &self.wanted.layer
    }

    /// What it is built for.
    #[must_use]
    pub fn target(&self) -> Target {
        self.wanted.target
    }
}

/// Resolves and builds. What goes wrong is part of the answer.
pub async fn perform(bench: &Workbench, task: &BuildTask) -> BuildState {
    let BuildTask {
        wanted,
        request,
        policy,
        sources,
        ..
    } = task;
    match task.mode {
        BuildMode::New => build_wanted(bench, wanted, request, policy, *sources).await,
        BuildMode::Upgrade => upgrade_wanted(bench, wanted, request, policy, *sources).await,
    }
}
