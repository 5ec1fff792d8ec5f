//! Which regions the account has not enabled: `account:ListRegions` says it, else `ec2:DescribeRegions`, else what a
//! region itself answers.

use super::partition::Partition;
use super::{AwsRegistry, describe_regions};
use crate::model::{OfferedRegions, Region};
use crate::registry::RegistryError;
use aws_sdk_account::error::DisplayErrorContext;
use aws_sdk_account::types::RegionOptStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long what AWS said is believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// How long it is not asked again when it said nothing, and how long a region's own answer counts.
const PAUSE: Duration = Duration::from_secs(600);

/// What is known of a partition's regions. Times are those of the registry's clock.
#[derive(Debug, Default)]
pub(super) struct Enabled {
    /// One asks at a time.
    asking: tokio::sync::Mutex<()>,
    asked: Mutex<Option<Asked>>,
    /// Regions that said so themselves, and until when that counts.
    noted: Mutex<BTreeMap<Region, Duration>>,
}

#[derive(Debug)]
struct Asked {
    until: Duration,
    /// Absent where nobody told.
    not_enabled: Option<BTreeSet<Region>>,
}

impl Enabled {
    /// A region answered as those do that are not enabled. `false` where the account said that it is: that is asked again
    /// before the next plan.
    pub(super) fn note(&self, region: &Region, now: Duration) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = &mut *asked
            && let Some(not_enabled) = &asked.not_enabled
            && !not_enabled.contains(region)
        {
            asked.until = now;
            return false;
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.insert(region.clone(), now + PAUSE);
        true
    }

    fn is_asked(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some()
    }

    /// The regions that are not enabled by what was told, should that still be believed.
    fn told(&self, now: Duration) -> Option<BTreeSet<Region>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.as_ref().filter(|asked| now < asked.until)?;
        Some(asked.not_enabled.clone().unwrap_or_default())
    }

    fn noted(&self, now: Duration) -> Vec<Region> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, until| now < *until);
        noted.keys().cloned().collect()
    }
}

impl AwsRegistry {
    /// What it means that a region does not know the keys: its own word counts where the account has none.
    pub(super) async fn locked_out(&self, partition: &Partition, region: Region) -> RegistryError {
        if !partition.enabled.is_asked() {
            self.not_enabled(partition).await;
        }
        if partition.enabled.note(&region, (self.clock)()) {
            RegistryError::NotEnabled { region }
        } else {
            RegistryError::UnknownKeys { region }
        }
    }

    /// The regions of all partitions that there are credentials for.
    pub(super) async fn offered(&self) -> OfferedRegions {
        let asked = self
            .partitions
            .values()
            .map(|partition| self.not_enabled(partition));
        let not_enabled = futures::future::join_all(asked).await.concat();
        let mut offered = OfferedRegions::default();
        for region in self.partitions.values().flat_map(Partition::regions) {
            if not_enabled.contains(&region) {
                offered.not_enabled.push(region);
            } else {
                offered.enabled.push(region);
            }
        }
        offered.enabled.sort();
        offered.not_enabled.sort();
        offered
    }

    async fn not_enabled(&self, partition: &Partition) -> Vec<Region> {
        let enabled = &partition.enabled;
        let _asking = enabled.asking.lock().await;
        let now = (self.clock)();
        let told = match enabled.told(now) {
            Some(told) => told,
            None => {
                let answer = self.ask(partition).await;
                let mut asked = enabled.asked.lock().unwrap_or_else(PoisonError::into_inner);
                *asked = Some(Asked {
                    until: now + answer.as_ref().map_or(PAUSE, |_| BELIEVED),
                    not_enabled: answer.clone(),
                });
                answer.unwrap_or_default()
            }
        };
        let mut not_enabled = enabled.noted(now);
        not_enabled.extend(told);
        not_enabled
    }

    /// `None` when AWS does not tell: the bot may not be allowed to ask, which is no reason not to publish.
    async fn ask(&self, partition: &Partition) -> Option<BTreeSet<Region>> {
        let from_account = match self.list_regions(partition).await {
            Ok(not_enabled) => return Some(not_enabled),
            Err(reason) => reason,
        };
        match describe_regions::not_enabled(partition, self.timing.call_timeout).await {
            Ok(not_enabled) => Some(not_enabled),
            Err(error) => {
                tracing::info!(
                    "which regions the account has enabled shows when they are published to: account:ListRegions: {from_account}; ec2:DescribeRegions: {error:#}"
                );
                None
            }
        }
    }

    /// Source: AWS Account Management API reference, `ListRegions`.
    async fn list_regions(&self, partition: &Partition) -> Result<BTreeSet<Region>, String> {
        let (retries, timeouts) = Partition::patience(self.timing.call_timeout);
        let config = aws_sdk_account::config::Builder::from(&partition.config)
            .http_client(partition.http_client.clone())
            .retry_config(retries)
            .timeout_config(timeouts)
            .build();
        let mut items = aws_sdk_account::Client::from_conf(config)
            .list_regions()
            .max_results(50)
            .into_paginator()
            .items()
            .send();
        let mut not_enabled = BTreeSet::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| DisplayErrorContext(error).to_string())?;
            let is_out = matches!(
                item.region_opt_status(),
                Some(
                    RegionOptStatus::Disabled
                        | RegionOptStatus::Disabling
                        | RegionOptStatus::Enabling
                )
            );
            if is_out {
                not_enabled.extend(item.region_name().and_then(|name| name.parse().ok()));
            }
        }
        Ok(not_enabled)
    }
}
