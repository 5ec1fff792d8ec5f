//! A registry in memory, for tests that publish more than a disk likes: it passes the conformance suite, too.

use crate::model::{Digest, LayerArn, OfferedRegions, Region, Visibility};
use crate::registry::limits::violation;
use crate::registry::policy::Grantee;
use crate::registry::{
    ParameterStore, Prepared, PublishRequest, PublishedVersion, Registry, RegistryError,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

const ACCOUNT: &str = "123456789012";
/// How long a publish may be at work that nobody hears of.
const AT_WORK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
struct Version {
    digest: Digest,
    size: u64,
    description: String,
    allowed: BTreeSet<Grantee>,
}

#[derive(Debug, Default)]
struct Layer {
    newest: u64,
    versions: BTreeMap<u64, Version>,
}

#[derive(Debug, Default)]
struct State {
    layers: BTreeMap<(Region, String), Layer>,
    silent: BTreeSet<Region>,
    disabled: BTreeSet<Region>,
    deleted: Vec<LayerArn>,
    parameters: BTreeMap<(Region, String), String>,
    changes: u64,
    /// What becomes of the next publications that nobody hears of: a version after that time, or nothing.
    unheard: VecDeque<Option<Duration>>,
    /// Versions that come to be.
    coming: Vec<(Instant, Region, String, Version)>,
}

impl State {
    fn add(&mut self, region: &Region, name: &str, version: Version) -> u64 {
        let layer = (region.clone(), name.to_owned());
        let layer = self.layers.entry(layer).or_default();
        layer.newest += 1;
        layer.versions.insert(layer.newest, version);
        layer.newest
    }
}

/// Layer versions in memory.
#[derive(Debug)]
pub(crate) struct MemoryRegistry {
    regions: Vec<Region>,
    state: Mutex<State>,
}

impl MemoryRegistry {
    pub(crate) fn new(mut regions: Vec<Region>) -> Self {
        regions.sort();
        Self {
            regions,
            state: Mutex::default(),
        }
    }

    /// From now on these regions do not answer, and all others do.
    pub(crate) fn silence(&self, regions: &[Region]) {
        self.state().silent = regions.iter().cloned().collect();
    }

    /// From now on the account has these regions not enabled, which shows when they are asked.
    pub(crate) fn disable(&self, regions: &[Region]) {
        self.state().disabled = regions.iter().cloned().collect();
    }

    /// Lets nobody hear of the next publications, each of which makes its version after that time, or none.
    pub(crate) fn say_nothing(&self, of: impl IntoIterator<Item = Option<Duration>>) {
        self.state().unheard.extend(of);
    }

    /// How often something was published, shared or deleted.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// What was deleted since this was asked last.
    pub(crate) fn take_deleted(&self) -> Vec<LayerArn> {
        std::mem::take(&mut self.state().deleted)
    }

    /// Every version that is there, with its zip's digest and whether exactly those named may use it.
    pub(crate) fn all(&self, visibility: &Visibility) -> BTreeMap<LayerArn, (Digest, bool)> {
        let wanted = Grantee::of(visibility);
        let state = self.state();
        let layers = state.layers.iter();
        layers
            .flat_map(|((region, name), layer)| {
                let wanted = &wanted;
                layer.versions.iter().map(move |(number, version)| {
                    let shared = version.allowed == *wanted;
                    (arn(region, name, *number), (version.digest, shared))
                })
            })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn allowed(&self, arn: &LayerArn) -> Result<BTreeSet<Grantee>, RegistryError> {
        let state = self.asked(&arn.region)?;
        let layer = state.layers.get(&(arn.region.clone(), arn.layer.clone()));
        let version = layer.and_then(|layer| layer.versions.get(&arn.version));
        Ok(version
            .map(|version| version.allowed.clone())
            .unwrap_or_default())
    }

    /// The state, unless the region does not answer, or is not enabled.
    fn asked(&self, region: &Region) -> Result<MutexGuard<'_, State>, RegistryError> {
        let mut state = self.state();
        let now = Instant::now();
        let is_due = |it: &(Instant, Region, String, Version)| it.0 <= now;
        let (due, coming): (Vec<_>, Vec<_>) = std::mem::take(&mut state.coming)
            .into_iter()
            .partition(is_due);
        state.coming = coming;
        for (_, region, name, version) in due {
            state.add(&region, &name, version);
        }
        if state.disabled.contains(region) {
            let region = region.clone();
            return Err(RegistryError::NotEnabled { region });
        }
        if state.silent.contains(region) {
            return Err(RegistryError::Unreachable {
                region: region.clone(),
                message: "nothing within 20 s".to_owned(),
            });
        }
        Ok(state)
    }

    fn allow(
        &self,
        arn: &LayerArn,
        change: impl FnOnce(&mut BTreeSet<Grantee>),
        may_be_absent: bool,
    ) -> Result<(), RegistryError> {
        let mut state = self.asked(&arn.region)?;
        let layer = state
            .layers
            .get_mut(&(arn.region.clone(), arn.layer.clone()));
        match layer.and_then(|layer| layer.versions.get_mut(&arn.version)) {
            Some(version) => {
                change(&mut version.allowed);
                state.changes += 1;
                Ok(())
            }
            None if may_be_absent => Ok(()),
            None => Err(RegistryError::Refused {
                region: arn.region.clone(),
                message: format!("{arn} does not exist"),
            }),
        }
    }
}

#[async_trait]
impl ParameterStore for MemoryRegistry {
    async fn parameters(
        &self,
        region: &Region,
        path: &str,
    ) -> Result<BTreeMap<String, String>, RegistryError> {
        let below = format!("{path}/");
        let state = self.asked(region)?;
        let all = state.parameters.iter();
        Ok(all
            .filter(|((at, name), _)| at == region && name.starts_with(&below))
            .map(|((_, name), value)| (name.clone(), value.clone()))
            .collect())
    }

    async fn put_parameter(
        &self,
        region: &Region,
        name: &str,
        value: &str,
    ) -> Result<(), RegistryError> {
        let mut state = self.asked(region)?;
        let key = (region.clone(), name.to_owned());
        state.parameters.insert(key, value.to_owned());
        Ok(())
    }

    async fn delete_parameters(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<(), RegistryError> {
        let mut state = self.asked(region)?;
        let is_gone = |(at, name): &(Region, String)| at == region && names.contains(name);
        state.parameters.retain(|key, _| !is_gone(key));
        Ok(())
    }
}

fn arn(region: &Region, name: &str, version: u64) -> LayerArn {
    LayerArn {
        region: region.clone(),
        account: ACCOUNT.to_owned(),
        layer: name.to_owned(),
        version,
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn regions(&self) -> Result<OfferedRegions, RegistryError> {
        Ok(OfferedRegions::all(self.regions.clone()))
    }

    async fn publish_prepared(
        &self,
        region: &Region,
        request: &PublishRequest,
        _prepared: Prepared,
    ) -> Result<PublishedVersion, RegistryError> {
        if let Some(message) = violation(request).unwrap() {
            let region = region.clone();
            return Err(RegistryError::Refused { region, message });
        }
        let version = Version {
            digest: Digest::of(&std::fs::read(&request.zip).unwrap()),
            size: request.size,
            description: request.description.clone(),
            allowed: BTreeSet::new(),
        };
        let mut state = self.asked(region)?;
        state.changes += 1;
        if let Some(becomes) = state.unheard.pop_front() {
            if let Some(after) = becomes {
                let coming = (Instant::now() + after, region.clone(), request.name.clone());
                state.coming.push((coming.0, coming.1, coming.2, version));
            }
            return Err(RegistryError::Unheard {
                region: region.clone(),
                message: "nothing within 60 s".to_owned(),
                at_work_for: AT_WORK,
            });
        }
        let number = state.add(region, &request.name, version.clone());
        Ok(PublishedVersion {
            arn: arn(region, &request.name, number),
            digest: Some(version.digest),
            size: Some(version.size),
            description: version.description,
        })
    }

    fn at_work_for(&self) -> Duration {
        AT_WORK
    }

    async fn find(
        &self,
        region: &Region,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<PublishedVersion>, RegistryError> {
        let mark = format!("sha256:{}", digest.short());
        let versions = self.versions(region, name).await?;
        let mut newest_first = versions.into_iter().rev();
        Ok(newest_first.find(|version| version.description.contains(&mark)))
    }

    async fn share(&self, arn: &LayerArn, visibility: &Visibility) -> Result<(), RegistryError> {
        let wanted = Grantee::of(visibility);
        let nothing = wanted.is_empty();
        self.allow(arn, |allowed| allowed.extend(wanted), nothing)
    }

    async fn set_visibility(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<(), RegistryError> {
        let wanted = Grantee::of(visibility);
        let nothing = wanted.is_empty();
        self.allow(arn, |allowed| *allowed = wanted, nothing)
    }

    async fn layers(&self, region: &Region, prefix: &str) -> Result<Vec<String>, RegistryError> {
        let state = self.asked(region)?;
        let there = state.layers.iter().filter(|((place, name), layer)| {
            place == region && name.starts_with(prefix) && !layer.versions.is_empty()
        });
        Ok(there.map(|((_, name), _)| name.clone()).collect())
    }

    async fn versions(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<Vec<PublishedVersion>, RegistryError> {
        let state = self.asked(region)?;
        let layer = state.layers.get(&(region.clone(), name.to_owned()));
        let versions = layer.into_iter().flat_map(|layer| &layer.versions);
        Ok(versions
            .map(|(number, version)| PublishedVersion {
                arn: arn(region, name, *number),
                digest: None,
                size: None,
                description: version.description.clone(),
            })
            .collect())
    }

    async fn read(&self, arn: &LayerArn) -> Result<Option<PublishedVersion>, RegistryError> {
        let state = self.asked(&arn.region)?;
        let layer = state.layers.get(&(arn.region.clone(), arn.layer.clone()));
        let version = layer.and_then(|layer| layer.versions.get(&arn.version));
        Ok(version.map(|version| PublishedVersion {
            arn: arn.clone(),
            digest: Some(version.digest),
            size: Some(version.size),
            description: version.description.clone(),
        }))
    }

    async fn is_shared(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        Ok(self.allowed(arn)? == Grantee::of(visibility))
    }

    async fn reaches(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        Ok(Grantee::reach(&self.allowed(arn)?, visibility))
    }

    async fn delete(&self, arn: &LayerArn) -> Result<(), RegistryError> {
        let mut state = self.asked(&arn.region)?;
        let layer = state
            .layers
            .get_mut(&(arn.region.clone(), arn.layer.clone()));
        let gone = layer.and_then(|layer| layer.versions.remove(&arn.version));
        if gone.is_some() {
            state.changes += 1;
            state.deleted.push(arn.clone());
        }
        Ok(())
    }
}

#[tokio::test]
async fn it_conforms() {
    super::conformance::check(&MemoryRegistry::new(Region::commercial())).await;
}
