//! AWS Lambda in every region of the accounts that there are credentials for.
//!
//! One client per region, made when it is first needed; all it sends goes through the region's `gate`. Nothing here
//! decides: a publish is sent once, and whether it happened after all when the answer got lost is for the caller to
//! [`Registry::find`](super::Registry::find) out. Credentials belong to a partition (`aws`, `aws-cn`, `aws-us-gov`); a
//! partition without any has no regions here.

mod body;
mod calls;
mod circuit;
mod config;
mod credentials;
mod describe_regions;
mod enabled;
mod errors;
mod gate;
mod hold;
mod in_use;
mod listing;
mod pace;
mod parameters;
mod partition;
mod parts;
mod publish;
mod staging;
#[cfg(test)]
mod tests;

pub use config::{aws_config, aws_configs};
pub(super) use publish::Ready;

use super::RegistryError;
use crate::model::Region;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use body::Bodies;
use circuit::Line;
use gate::{Gate, Gated, PUBLISHING};
use in_use::InUse;
use partition::Partition;
use parts::PartsInUse;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time since any moment, by a clock that never goes back.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A region that takes no connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of a small call; the SDK waits in between, longer each time, with jitter.
const CALL_ATTEMPTS: u32 = 5;

/// How long AWS is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For one attempt of a small call. A publish has three times that, and time for the upload. It is also the
    /// deadline after which a region that keeps failing is left alone.
    pub call_timeout: Duration,
    /// The longest that AWS may be at work on a publish, upload aside: what nobody heard of is not sent again before.
    pub publishing: Duration,
    /// Before the first retry; later ones double it.
    pub first_pause: Duration,
    /// How long a region that does not answer is left alone.
    pub cool_down: Duration,
}

impl Timing {
    /// Pauses in proportion to the time that one small call may take.
    #[must_use]
    pub fn of(call_timeout: Duration) -> Self {
        Self {
            call_timeout,
            // As long as it is waited for, and the time of a small call more.
            publishing: call_timeout * (PUBLISHING + 1),
            first_pause: call_timeout / 20,
            cool_down: call_timeout * 3 / 2,
        }
    }
}

/// Layer versions in AWS Lambda.
pub struct AwsRegistry {
    partitions: BTreeMap<&'static str, Partition>,
    regions: Mutex<BTreeMap<Region, Place>>,
    /// The ways to the staging buckets.
    buckets: Mutex<BTreeMap<Region, Arc<Gate>>>,
    /// The ways to Parameter Store.
    parameters: Mutex<BTreeMap<Region, Arc<Gate>>>,
    bodies: Bodies,
    parts: PartsInUse,
    /// One at a time is at an object of a bucket: the process may be told to publish a layer that it is publishing.
    turns: InUse<(String, String), tokio::sync::Mutex<()>>,
    timing: Timing,
    clock: Clock,
    line: Arc<Line>,
    bucket_line: Arc<Line>,
    parameter_line: Arc<Line>,
}

/// What is there for one region.
#[derive(Clone)]
struct Place {
    client: Client,
    gate: Arc<Gate>,
}

impl fmt::Debug for AwsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions: Vec<_> = self.partitions.keys().collect();
        f.debug_struct("AwsRegistry")
            .field("partitions", &partitions)
            .finish_non_exhaustive()
    }
}

impl AwsRegistry {
    /// Publishes with these configurations' credentials, endpoints and HTTP clients, each in the partition of its region;
    /// of two for the same partition the last one counts.
    #[must_use]
    pub fn new(configs: Vec<SdkConfig>, timing: Timing, clock: Clock) -> Self {
        let partitions = configs.into_iter().filter_map(Partition::new);
        Self {
            partitions: partitions
                .map(|partition| (partition.home.partition(), partition))
                .collect(),
            regions: Mutex::default(),
            buckets: Mutex::default(),
            parameters: Mutex::default(),
            bodies: Bodies::new(),
            parts: PartsInUse::default(),
            turns: InUse::default(),
            timing,
            clock,
            line: Arc::default(),
            bucket_line: Arc::default(),
            parameter_line: Arc::default(),
        }
    }

    /// Where a region's calls go.
    ///
    /// # Errors
    /// When there are no credentials for its partition.
    fn place(&self, region: &Region) -> Result<Place, RegistryError> {
        let partition = self.partition(region)?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let place = regions
            .entry(region.clone())
            .or_insert_with(|| self.new_place(partition, region));
        Ok(place.clone())
    }

    fn partition(&self, region: &Region) -> Result<&Partition, RegistryError> {
        let name = region.partition();
        self.partitions.get(name).ok_or_else(|| RegistryError::Refused {
            region: region.clone(),
            message: format!("there are no credentials for the partition {name}: set AWS_REGION to one of its regions, or name a role or a profile in LAYERSMITH_AWS_ROLES"),
        })
    }

    fn client(&self, region: &Region) -> Result<Client, RegistryError> {
        self.place(region).map(|place| place.client)
    }

    /// What a failed call means, noted where later calls depend on it.
    async fn explain<E>(&self, region: &Region, error: &SdkError<E, HttpResponse>) -> RegistryError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let explained = errors::explain(region, error);
        let Some(partition) = self.partitions.get(region.partition()) else {
            return explained;
        };
        if errors::is_expired(error)
            && let Some(credentials) = &partition.credentials
        {
            credentials.forget();
        }
        match explained {
            RegistryError::NotEnabled { region } => self.locked_out(partition, region).await,
            explained => explained,
        }
    }

    /// An answer, or what it means that there is none.
    async fn heard<T, E>(
        &self,
        region: &Region,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, RegistryError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.explain(region, &error).await),
        }
    }

    fn new_place(&self, partition: &Partition, region: &Region) -> Place {
        let gate = Arc::new(Gate::to_lambda(
            region,
            self.timing,
            Arc::clone(&self.clock),
            Arc::clone(&self.line),
        ));
        let retries = RetryConfig::standard()
            .with_max_attempts(CALL_ATTEMPTS)
            .with_initial_backoff(self.timing.first_pause);
        // The limit for one attempt is the gate's, because waiting for a turn is not the region's fault.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        let config = Builder::from(&partition.config)
            .region(aws_config::Region::new(region.to_string()))
            .retry_config(retries)
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Gated {
                gate: Arc::clone(&gate),
                client: partition.http_client.clone(),
            })
            .build();
        Place {
            client: Client::from_conf(config),
            gate,
        }
    }
}
