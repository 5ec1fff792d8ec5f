//! The turn to publish of a process: the lease, renewed for as long as the turn lasts.

use super::lease::{Claimant, Lease, Term};
use crate::model::Timestamp;
use crate::store::{Result, Turn};
use aws_lc_rs::rand;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::JoinHandle;

/// How long a turn lasts that is not renewed, in seconds.
const LASTS: u32 = 60;
const TERM: Term = Term {
    turn: LASTS,
    work: LASTS,
};
/// How often it is renewed: two renewals may fail before it is lost.
pub(super) const RENEWED_EVERY: Duration = Duration::from_secs(15);
/// How long to wait before looking again whether the turn is free: whoever publishes does so for seconds at least.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long giving the turn back may keep a process; it runs out by itself otherwise.
const GOODBYE: Duration = Duration::from_secs(5);

/// Says what time it is.
pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Hands out the turns of one store.
#[derive(Clone)]
pub(super) struct Turns {
    /// In this process, first come, first served.
    queue: Arc<Mutex<()>>,
    lease: Lease,
    clock: Clock,
    renewed_every: Duration,
}

impl Turns {
    pub(super) fn new(lease: Lease, clock: Clock, renewed_every: Duration) -> Self {
        Self {
            queue: Arc::default(),
            lease,
            clock,
            renewed_every,
        }
    }

    pub(super) async fn take(&self) -> Result<Turn> {
        let place = Arc::clone(&self.queue).lock_owned().await;
        let owner = owner()?;
        let mut told = false;
        let mut taken_at = (self.clock)();
        while !self.lease.take(process(&owner), taken_at, TERM).await? {
            if !told {
                let holder = self.lease.holder().await?;
                let holder = holder.map_or_else(String::new, |holder| holder.owner);
                tracing::info!("waiting: {holder} has the turn to publish");
                told = true;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            taken_at = (self.clock)();
        }
        let (lost, is_lost) = watch::channel(false);
        let renewal = tokio::spawn(keep(
            self.lease.clone(),
            owner.clone(),
            Arc::clone(&self.clock),
            taken_at,
            self.renewed_every,
            lost,
        ));
        let held = Held {
            lease: self.lease.clone(),
            owner,
            renewal,
            runtime: Handle::current(),
            place: Some(place),
        };
        Ok(Turn::that_may_be_lost(held, is_lost))
    }
}

/// A name that no other turn has.
fn owner() -> Result<String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("there are no random numbers"))?;
    let number = u64::from_be_bytes(bytes);
    Ok(format!("process-{}-{number:016x}", std::process::id()))
}

fn process(owner: &str) -> Claimant<'_> {
    Claimant { owner, run: None }
}

/// Renews the turn until it is lost, which is when its time is over by this machine's clock, or somebody else has it.
async fn keep(
    lease: Lease,
    owner: String,
    clock: Clock,
    taken_at: Timestamp,
    renewed_every: Duration,
    lost: watch::Sender<bool>,
) {
    let lasts = i64::from(LASTS);
    let mut until = taken_at.unix() + lasts;
    let mut next = renewed_every;
    loop {
        tokio::time::sleep(next).await;
        let now = clock();
        let left = Duration::from_secs(u64::try_from(until - now.unix()).unwrap_or_default());
        if left.is_zero() {
            break;
        }
        // An answer that comes when the time is over comes too late.
        let renewed = tokio::time::timeout(left, lease.renew(process(&owner), now, TERM)).await;
        next = match renewed {
            Ok(Ok(true)) => {
                until = now.unix() + lasts;
                renewed_every
            }
            Ok(Ok(false)) => break,
            Ok(Err(error)) => {
                tracing::warn!("the turn to publish is not renewed yet: {error:#}");
                Duration::from_secs(1)
            }
            Err(_) => break,
        };
    }
    tracing::error!("the turn to publish is lost: nothing more is published in it");
    lost.send_replace(true);
}

struct Held {
    lease: Lease,
    owner: String,
    renewal: JoinHandle<()>,
    runtime: Handle,
    place: Option<OwnedMutexGuard<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
        let (lease, owner, place) = (self.lease.clone(), self.owner.clone(), self.place.take());
        let release = async move {
            match tokio::time::timeout(GOODBYE, lease.release(&owner)).await {
                Ok(Ok(())) => (),
                Ok(Err(error)) => {
                    tracing::warn!("the turn to publish is not given back: {error:#}");
                }
                Err(_) => tracing::warn!("the turn to publish is not given back in time"),
            }
            // The next in this process finds it free.
            drop(place);
        };
        // A process that ends right after its turn would not give it back, and the next one would wait for a minute.
        let here = Handle::try_current().map(|handle| handle.runtime_flavor());
        match here {
            Ok(RuntimeFlavor::MultiThread) => {
                tokio::task::block_in_place(|| self.runtime.block_on(release));
            }
            _ => drop(self.runtime.spawn(release)),
        }
    }
}
