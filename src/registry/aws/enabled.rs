//! Which regions the account has not enabled: `account:ListRegions` says it, else `ec2:DescribeRegions`, else what a
//! region itself answers.

use super::partition::Partition;
use super::{AwsRegistry, describe_regions};
use crate::model::{OfferedRegions, Region};
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
    asked: tokio::sync::Mutex<Option<Asked>>,
    /// Regions that said so themselves, and until when that counts.
    noted: Mutex<BTreeMap<Region, Duration>>,
}

#[derive(Debug)]
struct Asked {
    until: Duration,
    not_enabled: BTreeSet<Region>,
}

impl Enabled {
    /// A region answered as those do that are not enabled.
    pub(super) fn note(&self, region: &Region, now: Duration) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.insert(region.clone(), now + PAUSE);
    }

    fn noted(&self, now: Duration) -> Vec<Region> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, until| now < *until);
        noted.keys().cloned().collect()
    }
}

impl AwsRegistry {
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
        let mut asked = partition.enabled.asked.lock().await;
        let now = (self.clock)();
        if asked.as_ref().is_none_or(|asked| now >= asked.until) {
            let answer = self.ask(partition).await;
            *asked = Some(Asked {
                until: now + answer.as_ref().map_or(PAUSE, |_| BELIEVED),
                not_enabled: answer.unwrap_or_default(),
            });
        }
        let mut not_enabled = partition.enabled.noted(now);
        if let Some(asked) = &*asked {
            not_enabled.extend(asked.not_enabled.iter().cloned());
        }
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
