//! Desired state × published state → what is to be done: the one value that a pull request shows and a merge carries out.
//!
//! [`wanted()`] turns valid requests and the policy into what should be live, [`plan`] compares that with what is.
//! Deliberately absent: doing any of it, resolving, the order and retries of steps, and every word a person reads.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod align;
mod live;
mod outcome;
mod parameters;
#[cfg(test)]
mod tests;
mod verdict;
mod wanted;

use crate::model::{
    BuildRecord, Digest, LayerName, LayerState, LayerVersion, Location, Region, Target,
};
pub use crate::model::{PinChange, pin_changes};
pub use align::{Alignment, THROW_AWAY_LIMIT};
use live::{main_version, most_common, regions_of};
pub use outcome::{Outcome, PermissionsFailure, RegionFailure, SkipReason, SkippedRegion};
pub use parameters::{Folder, Parameters, ParametersOutcome, parameter_changes, wanted_parameters};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
pub use verdict::against_publishing;
pub use wanted::{BuildFailure, BuildState, Wanted, wanted};

/// Why something is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing of this layer is live for the target.
    New,
    /// Another zip is live.
    Changed,
    /// The same zip is live, but not in every region.
    Backfill,
}

/// A zip to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Why.
    pub reason: Reason,
    /// What.
    pub build: BuildRecord,
    /// Under which name.
    pub published_name: String,
    /// Where it is missing; sorted.
    pub regions: Vec<Region>,
    /// Where it is live already; sorted.
    pub already: Vec<Region>,
    /// Regions it leaves, because they are not wanted any more; sorted.
    pub leaves: Vec<Region>,
    /// The version that is live in most regions now.
    pub previous_version: Option<String>,
    /// The version number that regions which are behind are brought to, where some are and the policy wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
    /// How the packages inside differ from that version's; sorted by name.
    pub changes: Vec<PinChange>,
}

/// What is to be done about one layer and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Everything is as it should be.
    Keep {
        /// The live version.
        version: String,
        /// Where it is live.
        regions: Vec<Region>,
    },
    /// It has to be resolved and built before more can be said.
    Build,
    /// Publish (and leave regions that are not wanted any more).
    Publish(Box<Publication>),
    /// Nobody asks for it any more: deprecate what is live.
    Retire {
        /// The live version.
        version: String,
        /// Where it is live.
        regions: Vec<Region>,
    },
    /// It is wanted and cannot be had.
    Blocked {
        /// Why, for the person who asked for it.
        failure: BuildFailure,
        /// What was built, when it was built and is not allowed to be published.
        build: Option<Box<BuildRecord>>,
    },
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// The request file and the place in it that problems are shown at; absent when the file is gone.
    pub request: Option<(String, Location)>,
    /// Where the packages asked for (normalised names) stand in it.
    #[serde(default)]
    pub packages: BTreeMap<String, Location>,
    /// Packages (normalised names) without a wheel that are built from source first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_source: Vec<String>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done, sorted by layer, then target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// One entry for each layer and target.
    pub entries: Vec<Entry>,
    /// Regions that are left out because the account has not enabled them; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_enabled: Vec<Region>,
}

impl Plan {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries
            .iter()
            .all(|entry| matches!(entry.action, Action::Keep { .. }))
    }

    /// The same plan, but for what was to be retired and is kept.
    #[must_use]
    pub fn keeping(&self, kept: &BTreeSet<(LayerName, Target)>) -> Self {
        let mut plan = self.clone();
        for entry in &mut plan.entries {
            if let Action::Retire { version, regions } = &mut entry.action
                && kept.contains(&(entry.layer.clone(), entry.target))
            {
                entry.action = Action::Keep {
                    version: std::mem::take(version),
                    regions: std::mem::take(regions),
                };
            }
        }
        plan
    }

    /// Everything that is to be published or leaves regions.
    pub fn publications(&self) -> impl Iterator<Item = (&Entry, &Publication)> {
        self.entries.iter().filter_map(|entry| match &entry.action {
            Action::Publish(publication) => Some((entry, &**publication)),
            _ => None,
        })
    }

    /// Everything that is wanted and cannot be had.
    pub fn blocked(&self) -> impl Iterator<Item = (&Entry, &BuildFailure)> {
        self.entries.iter().filter_map(|entry| match &entry.action {
            Action::Blocked { failure, .. } => Some((entry, failure)),
            _ => None,
        })
    }
}

/// Builds by the zip that came of them.
type Builds<'a> = BTreeMap<(&'a LayerName, Target, Digest), &'a BuildRecord>;

/// Compares what should be live with what is.
///
/// `versions` and `builds` are the store's; where version numbers are aligned, deleted versions are among them. Live versions that nothing wants are retired, except those of the layers in
/// `held`: their request files are there but cannot be read, and a mistake in a file must not take a layer away.
#[must_use]
pub fn plan(
    wanted: &[Wanted],
    builds: &[BuildRecord],
    versions: &[LayerVersion],
    held: &BTreeSet<LayerName>,
) -> Plan {
    let mut live: BTreeMap<(&LayerName, Target), Vec<&LayerVersion>> = BTreeMap::new();
    let mut all: BTreeMap<(&LayerName, Target), Vec<&LayerVersion>> = BTreeMap::new();
    for version in versions {
        let slot = (&version.key.layer, version.key.target);
        all.entry(slot).or_default().push(version);
        if version.state == LayerState::Live {
            live.entry(slot).or_default().push(version);
        }
    }
    let builds: Builds<'_> = builds
        .iter()
        .map(|build| ((&build.layer, build.target, build.artifact.digest), build))
        .collect();
    let mut entries: Vec<Entry> = wanted
        .iter()
        .map(|wanted| {
            let slot = (&wanted.layer, wanted.target);
            let live = live.remove(&slot).unwrap_or_default();
            let all = all.remove(&slot).unwrap_or_default();
            Entry {
                layer: wanted.layer.clone(),
                target: wanted.target,
                request: Some((wanted.path.clone(), wanted.location)),
                packages: wanted.packages.clone(),
                from_source: match &wanted.build {
                    BuildState::FromSource(packages) => packages.clone(),
                    _ => Vec::new(),
                },
                action: action_for(wanted, &live, &all, &builds),
            }
        })
        .collect();
    let unwanted = live
        .into_iter()
        .filter(|((layer, _), _)| !held.contains(*layer));
    entries.extend(unwanted.map(|((layer, target), live)| Entry {
        layer: layer.clone(),
        target,
        request: None,
        packages: BTreeMap::new(),
        from_source: Vec::new(),
        action: Action::Retire {
            version: main_version(&live).unwrap_or_default(),
            regions: regions_of(&live),
        },
    }));
    entries.sort_by(|a, b| (&a.layer, a.target).cmp(&(&b.layer, b.target)));
    let not_enabled: BTreeSet<&Region> = wanted.iter().flat_map(|it| &it.not_enabled).collect();
    Plan {
        entries,
        not_enabled: not_enabled.into_iter().cloned().collect(),
    }
}

/// `live` are the layer's live versions for the target, `all` also those that were superseded.
fn action_for(
    wanted: &Wanted,
    live: &[&LayerVersion],
    all: &[&LayerVersion],
    builds: &Builds<'_>,
) -> Action {
    let build = match &wanted.build {
        BuildState::Unknown | BuildState::FromSource(_) => return Action::Build,
        BuildState::Failed(failure) => {
            return Action::Blocked {
                failure: failure.clone(),
                build: None,
            };
        }
        BuildState::Built(build) => build,
    };
    let is_this = |version: &&&LayerVersion| {
        version.key.digest == build.artifact.digest
            && version.key.published_name == wanted.published_name
    };
    let already: Vec<Region> = {
        let current: BTreeSet<&Region> = live
            .iter()
            .filter(is_this)
            .map(|version| &version.key.region)
            .collect();
        wanted
            .regions
            .iter()
            .filter(|region| current.contains(region))
            .cloned()
            .collect()
    };
    let regions: Vec<Region> = wanted
        .regions
        .iter()
        .filter(|region| !already.contains(region))
        .cloned()
        .collect();
    let leaves: Vec<Region> = regions_of(live)
        .into_iter()
        .filter(|region| !wanted.regions.contains(region) && !wanted.not_enabled.contains(region))
        .collect();
    if regions.is_empty() && leaves.is_empty() {
        return Action::Keep {
            version: build.version.clone(),
            regions: already,
        };
    }
    if !regions.is_empty()
        && let Some(failure) = against_publishing(build, wanted.is_staged)
    {
        return Action::Blocked {
            failure,
            build: Some(build.clone()),
        };
    }
    let previous = most_common(live);
    let reason = if live.is_empty() {
        Reason::New
    } else if live.iter().any(|version| is_this(&version)) {
        Reason::Backfill
    } else {
        Reason::Changed
    };
    let previous_pins = previous.and_then(|version| {
        let zip = (&wanted.layer, wanted.target, version.key.digest);
        builds.get(&zip).map(|build| build.artifact.pins.as_slice())
    });
    Action::Publish(Box::new(Publication {
        alignment: align::alignment(wanted, &regions, &already, live, all),
        reason,
        build: (**build).clone(),
        published_name: wanted.published_name.clone(),
        regions,
        already,
        leaves,
        previous_version: previous.map(|version| version.version.clone()),
        changes: pin_changes(previous_pins.unwrap_or_default(), &build.artifact.pins),
    }))
}
