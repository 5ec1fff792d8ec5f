//! The files of a catalog at a commit → the desired state.

use crate::model::{LayerName, LayerRequest, OfferedRegions, Policy, Problem, Region, Target};
use crate::request::{self, SourceFile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a catalog asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The policy.
    pub policy: Policy,
    /// The valid requests.
    pub layers: BTreeMap<LayerName, LayerRequest>,
    /// Everything that is wrong with the files, sorted.
    pub problems: Vec<Problem>,
    /// Layers whose request files are there but cannot be read: nothing is published for them and nothing retired.
    pub held: BTreeSet<LayerName>,
}

impl Desired {
    /// The valid requests among those of some layers.
    #[must_use]
    pub fn requests_of(&self, layers: &BTreeSet<LayerName>) -> BTreeMap<LayerName, LayerRequest> {
        layers
            .iter()
            .filter_map(|name| Some((name.clone(), self.layers.get(name)?.clone())))
            .collect()
    }

    /// Whether a layer is to be there for a target. One whose request file cannot be read counts as if it was.
    #[must_use]
    pub fn asks_for(&self, layer: &LayerName, target: Target) -> bool {
        let is_requested = |request: &LayerRequest| request.targets.contains(&target);
        self.held.contains(layer) || self.layers.get(layer).is_some_and(is_requested)
    }

    /// The regions that a layer is to be in for a target, those among them that the account has not enabled included; none
    /// when nobody asks for it. `None` when its request file cannot be read: then it is wanted where it is.
    #[must_use]
    pub fn wanted_in(
        &self,
        layer: &LayerName,
        target: Target,
        offered: &OfferedRegions,
    ) -> Option<BTreeSet<Region>> {
        if self.held.contains(layer) {
            return None;
        }
        let request = self.layers.get(layer);
        let request = request.filter(|request| request.targets.contains(&target));
        Some(request.map_or_else(BTreeSet::new, |request| {
            let regions = request.regions.as_deref();
            let (enabled, not_enabled) = self.policy.regions_for(regions, offered);
            enabled.into_iter().chain(not_enabled).collect()
        }))
    }
}

/// Whether a file of the repository has a say in the desired state, or looks as if it should have.
#[must_use]
pub fn retained(path: &str) -> bool {
    path == Policy::PATH || request::is_request_path(path) || request::is_misplaced_path(path)
}

/// Reads the files of a catalog. `policy` is the policy file to go by (a pull request's base branch has it); without one
/// the defaults hold. A policy that cannot be read is no policy: its problems are reported and `None` comes back.
#[must_use]
pub fn read_tree(
    files: &BTreeMap<String, SourceFile>,
    policy: Option<&SourceFile>,
) -> (Option<Desired>, Vec<Problem>) {
    let (policy, mut problems) = match policy {
        Some(file) => read_policy(file),
        None => (Some(Policy::default()), Vec::new()),
    };
    let Some(policy) = policy else {
        return (None, problems);
    };
    let catalog = request::parse_catalog(files, &policy);
    let held = files
        .keys()
        .filter(|path| request::is_request_path(path))
        .filter_map(|path| {
            path.rsplit('/')
                .next()?
                .split_once('.')?
                .0
                .parse::<LayerName>()
                .ok()
        })
        .filter(|name| !catalog.layers.contains_key(name))
        .collect();
    problems.extend(catalog.problems);
    problems.sort();
    let desired = Desired {
        policy,
        layers: catalog.layers,
        problems: problems.clone(),
        held,
    };
    (Some(desired), problems)
}

/// The policy that a file holds, and what is wrong with it.
#[must_use]
pub fn read_policy(file: &SourceFile) -> (Option<Policy>, Vec<Problem>) {
    match file.read(Policy::PATH) {
        Ok(bytes) => request::parse_policy(Policy::PATH, bytes),
        Err(problem) => (None, vec![problem]),
    }
}
