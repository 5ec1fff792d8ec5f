//! One layer × target to be resolved and built, as a value: a function with a workbench and nothing else can do it.

use super::Workbench;
use super::building::{SourceBuilds, build_new, counted};
use super::rebuilding::{Lost, rebuild};
use super::upgrade::build_upgrade;
use crate::model::{BuildRecord, Digest, LayerName, LayerRequest, Policy, Target};
use crate::plan::{BuildState, Plan, Publication, Wanted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What of the policy decides how a layer is resolved and built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRules {
    /// The package index; `None` is uv's own default.
    pub index_url: Option<String>,
    /// Releases younger than this many days are not considered.
    pub cooldown_days: u32,
    /// Seconds that resolving and building may take, each.
    pub build_seconds: u64,
}

impl BuildRules {
    /// The longest that resolving, and then building, may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(self.build_seconds)
    }
}

impl From<&Policy> for BuildRules {
    fn from(policy: &Policy) -> Self {
        Self {
            index_url: policy.index_url.clone(),
            cooldown_days: policy.cooldown_days,
            build_seconds: policy.limits.build_seconds,
        }
    }
}

/// Why a layer is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildReason {
    /// Nothing is known of its zip.
    New,
    /// There may be new releases. Where resolving comes to the wheels of the known build, that one is the answer.
    Upgrade(Option<Box<BuildRecord>>),
    /// Its zip is gone, and is wanted as it was.
    Lost(Box<BuildRecord>),
}

/// One layer × target to be resolved and built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildTask {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// [`LayerRequest::fingerprint`] of the request for that target.
    pub fingerprint: Digest,
    /// Whether a zip above the limit of a direct upload can go through a bucket.
    pub is_staged: bool,
    /// What is asked for.
    pub request: LayerRequest,
    /// How it is resolved and built.
    pub rules: BuildRules,
    /// Whether packages without a wheel may be built.
    pub sources: SourceBuilds,
    /// Whether the zip that is known has to be published somewhere still.
    #[serde(default)]
    pub needs_zip: bool,
    /// Why it is built.
    pub reason: BuildReason,
}

impl BuildTask {
    /// To resolve and build what was not built yet.
    #[must_use]
    pub fn new(
        wanted: &Wanted,
        request: &LayerRequest,
        policy: &Policy,
        sources: SourceBuilds,
    ) -> Self {
        Self {
            layer: wanted.layer.clone(),
            target: wanted.target,
            fingerprint: wanted.fingerprint,
            is_staged: wanted.is_staged,
            request: request.clone(),
            rules: policy.into(),
            sources,
            needs_zip: false,
            reason: BuildReason::New,
        }
    }

    /// To look for new releases of what is built already, and build where there are some.
    #[must_use]
    pub fn upgrade(
        wanted: &Wanted,
        request: &LayerRequest,
        policy: &Policy,
        sources: SourceBuilds,
    ) -> Self {
        let known = match &wanted.build {
            BuildState::Built(known) => Some(known.clone()),
            BuildState::Unknown | BuildState::FromSource(_) | BuildState::Failed(_) => None,
        };
        Self {
            reason: BuildReason::Upgrade(known),
            ..Self::new(wanted, request, policy, sources)
        }
    }

    /// To build again what is to be published and is gone. It was merged, so that sources may be built.
    #[must_use]
    pub fn again(publication: &Publication, request: &LayerRequest, policy: &Policy) -> Self {
        let build = &publication.build;
        Self {
            layer: build.layer.clone(),
            target: build.target,
            fingerprint: build.fingerprint,
            is_staged: policy.staging.is_some(),
            request: request.clone(),
            rules: policy.into(),
            sources: SourceBuilds::Permitted,
            needs_zip: true,
            reason: BuildReason::Lost(Box::new(build.clone())),
        }
    }
}

/// What is built and not live everywhere it should be: where new releases are looked for, its zip is needed still.
#[must_use]
pub fn incomplete(plan: &Plan) -> BTreeSet<(LayerName, Target)> {
    let publications = plan.publications();
    publications
        .map(|(entry, _)| (entry.layer.clone(), entry.target))
        .collect()
}

/// Resolves and builds one layer for one target. What goes wrong is part of the answer, not an error: the other builds
/// go on, and the person who asked reads it.
pub async fn perform(bench: &Workbench, task: &BuildTask) -> BuildState {
    let build = async {
        match &task.reason {
            BuildReason::New => build_new(bench, task).await,
            BuildReason::Upgrade(known) => build_upgrade(bench, task, known.as_deref()).await,
            BuildReason::Lost(build) => {
                let lost = Lost {
                    build,
                    layer: Some(&task.request),
                    rules: &task.rules,
                    is_staged: task.is_staged,
                };
                match rebuild(bench, &lost).await {
                    Ok(()) => BuildState::Built(build.clone()),
                    Err(failure) => BuildState::Failed(failure),
                }
            }
        }
    };
    counted(task, Box::pin(build)).await
}
