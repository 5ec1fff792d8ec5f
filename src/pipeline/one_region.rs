//! Bringing one zip live in one region, exactly once.

use super::aligning::{advance, tidy};
use super::visibility::share_exactly;
use super::{StepFailure, Workshop};
use crate::build::HeldZip;
use crate::model::{LayerArn, LayerState, Policy, Region, SlotKey, ZIPPED_LIMIT};
use crate::plan::Publication;
use crate::registry::{Prepared, PublishRequest, PublishedVersion, RegistryError};
use crate::store::Earlier;
use futures::future::{BoxFuture, Either, Shared, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Before a region is tried once more, or what may be at work there is looked for; each later look doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The zip for all regions, verified by the first who waits for it.
pub(super) type SharedZip<'a> = Shared<BoxFuture<'a, Result<Arc<HeldZip>, StepFailure>>>;

/// Why a version is not live in one region.
pub(super) enum RegionTrouble {
    /// The account has not enabled it, which is nobody's failure.
    NotEnabled,
    Failed(StepFailure),
}

impl<E: Into<StepFailure>> From<E> for RegionTrouble {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Intent, look or publish, share, read back, live.
pub(super) async fn in_region(
    workshop: &Workshop,
    publication: &Publication,
    request: &PublishRequest,
    zip: &SharedZip<'_>,
    policy: &Policy,
    region: &Region,
) -> Result<LayerArn, RegionTrouble> {
    let build = &publication.build;
    let key = SlotKey {
        layer: build.layer.clone(),
        target: build.target,
        region: region.clone(),
        digest: build.artifact.digest,
        published_name: publication.published_name.clone(),
    };
    let store = &workshop.store;
    let begun = store
        .begin_publish(&key, &build.version, workshop.now())
        .await?;
    if begun.version.state == LayerState::Live
        && let Some(arn) = begun.version.arn
    {
        return Ok(arn);
    }
    let mut place = Place {
        workshop,
        publication,
        request,
        zip,
        without_zip: None,
        policy,
        region,
        is_first: true,
        is_made: false,
        // Whoever died may have asked for it a moment ago.
        at_work_until: (begun.earlier == Earlier::Open)
            .then(|| Instant::now() + workshop.registry.at_work_for()),
    };
    let arn = match place.in_two_tries().await {
        Ok(arn) => arn,
        Err(error) => {
            let is_not_enabled = matches!(error, RegistryError::NotEnabled { .. });
            // An intent from before, or a first try, may have published something while the region was enabled.
            let is_untried = is_not_enabled
                || matches!(error, RegistryError::UnknownKeys { .. })
                || place.without_zip.is_some();
            if is_untried && place.is_first && !place.is_made && begun.earlier == Earlier::Never {
                store.drop_intent(&key).await?;
            } else if place.at_work_until.is_none() {
                store.note_idle(&key).await?;
            }
            if is_not_enabled {
                return Err(RegionTrouble::NotEnabled);
            }
            let failure = place
                .without_zip
                .unwrap_or_else(|| StepFailure::new(error.reason(), error.is_transient()));
            return Err(RegionTrouble::Failed(failure));
        }
    };
    let expires_at = workshop.now().plus_days(policy.expire_after_days);
    store
        .mark_live(&key, &arn, &policy.visibility, workshop.now(), expires_at)
        .await?;
    tracing::debug!(%arn, "{} {} for {} is live in {region}: {arn}", build.layer, build.version, build.target);
    Ok(arn)
}

/// What is published to one region, and how far that has come.
struct Place<'a, 'z> {
    workshop: &'a Workshop,
    publication: &'a Publication,
    request: &'a PublishRequest,
    zip: &'a SharedZip<'z>,
    /// Why nothing was sent: there is no zip to be had.
    without_zip: Option<StepFailure>,
    policy: &'a Policy,
    region: &'a Region,
    is_first: bool,
    /// Whether a version was made just now, whatever came after that.
    is_made: bool,
    /// Until when a publish that nobody heard of may make its version: published again before, it would make two.
    at_work_until: Option<Instant>,
}

impl Place<'_, '_> {
    /// One try is "look, then publish if it is not there": a publish whose answer got lost is found again. A registry
    /// tries its calls several times itself, and all other regions and the tables wait for the slowest, so there is no
    /// third.
    async fn in_two_tries(&mut self) -> Result<LayerArn, RegistryError> {
        match self.find_or_publish().await {
            // The next look waits for it.
            Err(RegistryError::Unheard { .. }) => {}
            Err(error) if error.is_transient() => tokio::time::sleep(FIRST_PAUSE).await,
            done => return done,
        }
        self.is_first = false;
        match self.find_or_publish().await {
            // Whoever is next would find nothing yet, and publish it once more.
            Err(error @ RegistryError::Unheard { .. }) => self.adopted().await?.ok_or(error),
            done => done,
        }
    }

    async fn find_or_publish(&mut self) -> Result<LayerArn, RegistryError> {
        let (registry, region, request) = (&self.workshop.registry, self.region, self.request);
        let zip = self.zip.clone();
        // A look takes as long as the region is away. What is waited for longer holds nothing meanwhile, and neither does what
        // publishes other zips first: those need room for their bodies, too.
        let is_short = self.at_work_until.is_none() && self.publication.alignment.is_none();
        let ready = async {
            let held = zip.await?;
            let prepared = if is_short {
                registry.prepare(region, request).await
            } else {
                Prepared::default()
            };
            Ok::<_, StepFailure>((held, prepared))
        };
        // What is sent ahead is sent where nobody waits for a turn, so it comes before the look.
        let ready = match select(pin!(ready), pin!(self.adopted())).await {
            Either::Left((ready, found)) => match found.await? {
                Some(arn) => return Ok(arn),
                None => ready,
            },
            Either::Right((found, ready)) => match found? {
                Some(arn) => return Ok(arn),
                None => ready.await,
            },
        };
        // The zip stays as long as it is published.
        let (_held, prepared) = ready.map_err(|failure| {
            let message = failure.message.clone();
            self.without_zip = Some(failure);
            RegistryError::Refused {
                region: region.clone(),
                message,
            }
        })?;
        let published = self.publish(prepared).await;
        if let Err(RegistryError::Unheard { at_work_for, .. }) = &published {
            self.at_work_until = Some(Instant::now() + *at_work_for);
        }
        let published = published?;
        self.is_made = true;
        self.finish(published.arn, true).await
    }

    /// What an earlier publish came to, should it have come to something.
    async fn adopted(&mut self) -> Result<Option<LayerArn>, RegistryError> {
        let Some(arn) = self.found_at_last().await? else {
            return Ok(None);
        };
        if let Some(staging) = &self.request.staging
            && self.request.size > ZIPPED_LIMIT
        {
            let PublishRequest { name, digest, .. } = self.request;
            let registry = &self.workshop.registry;
            registry.unstage(self.region, name, digest, staging).await;
        }
        self.finish(arn, false).await.map(Some)
    }

    async fn publish(&self, prepared: Prepared) -> Result<PublishedVersion, RegistryError> {
        let registry = &self.workshop.registry;
        if let Some(alignment) = &self.publication.alignment {
            advance(&**registry, self.region, self.request, alignment).await?;
        }
        registry
            .publish_prepared(self.region, self.request, prepared)
            .await
    }

    /// The version with the zip; it is looked for until nothing can be at work any more that would make one.
    async fn found_at_last(&mut self) -> Result<Option<LayerArn>, RegistryError> {
        let mut pause = FIRST_PAUSE;
        loop {
            // Before the look: what came to be meanwhile is seen.
            let now = Instant::now();
            let found = self.find().await?;
            match self.at_work_until {
                Some(until) if found.is_none() && now < until => {
                    tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
                    pause *= 2;
                }
                _ => {
                    self.at_work_until = None;
                    return Ok(found);
                }
            }
        }
    }

    async fn find(&self) -> Result<Option<LayerArn>, RegistryError> {
        let PublishRequest { name, digest, .. } = self.request;
        let registry = &self.workshop.registry;
        let Some(found) = registry.find(self.region, name, digest).await? else {
            return Ok(None);
        };
        let version = self.read_back(&found.arn).await?;
        Ok(version.map(|version| version.arn))
    }

    /// Lets those use what is published whom the policy names, and reads it back.
    async fn finish(&self, arn: LayerArn, is_new: bool) -> Result<LayerArn, RegistryError> {
        let registry = &self.workshop.registry;
        if self.publication.alignment.is_some() {
            tidy(&**registry, self.region, &self.request.name).await;
        }
        let visibility = &self.policy.visibility;
        let share = async {
            // Nobody may use what is new. What was there before may be for others than the policy names now.
            if is_new {
                registry.share(&arn, visibility).await?;
            }
            share_exactly(self.workshop, &arn, visibility).await
        };
        // Neither waits for the other: each takes as long as the region is away.
        let (shared, read) = tokio::join!(share, self.read_back(&arn));
        shared?;
        if read?.is_none() {
            return Err(RegistryError::Refused {
                region: self.region.clone(),
                message: format!("{arn} was published, but reading it back shows another zip"),
            });
        }
        Ok(arn)
    }

    /// The version as the registry has it now, should its zip be the one that was asked for.
    async fn read_back(&self, arn: &LayerArn) -> Result<Option<PublishedVersion>, RegistryError> {
        let digest = self.request.digest;
        let read = self.workshop.registry.read(arn).await?;
        let version = read.filter(|version| version.digest == Some(digest));
        if version.is_none() {
            tracing::warn!(%arn, region = %self.region, "{arn} does not hold sha256:{}", digest.short());
        }
        Ok(version)
    }
}
