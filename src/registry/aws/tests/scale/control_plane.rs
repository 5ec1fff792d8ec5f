//! AWS Lambda's control plane in 34 regions, and processes that publish to it through the pace they really use.

use super::time::Time;
use crate::model::Region;
use crate::registry::aws::CALL_ATTEMPTS;
use crate::registry::aws::pace::Pace;
use futures::future::join;
use futures::{StreamExt as _, stream};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// Calls in any one second that AWS Lambda takes in a region, of everybody in the account.
pub(super) const CALLS_PER_SECOND: f64 = 15.0;
/// How long a small call takes, there and back. Assumed: the mean from one continent to the others.
const SMALL_CALL: Duration = Duration::from_millis(200);
/// How long a publish takes apart from its upload: the zip is unpacked. Assumed.
const UNPACKING: Duration = Duration::from_millis(1_500);
/// The first pause after an answer that asks for patience: what `Timing` makes of the default limit of 20 seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Calls for one version: look, publish, share, then read back the permissions and the version.
pub(super) const CALLS_PER_VERSION: usize = 5;
/// How long one version takes when it waits for nothing.
pub(super) const CHAIN: Duration = Duration::from_millis(3 * 200 + 1_500);

/// What the regions answered. Each has a bucket of one second's calls that fills at their rate: AWS tells no more.
#[derive(Default)]
pub(super) struct ControlPlane {
    /// How many calls a region would take at once, and when that was so.
    left: RefCell<BTreeMap<Region, (f64, Duration)>>,
    pub(super) calls: Cell<usize>,
    pub(super) throttled: Cell<usize>,
}

impl ControlPlane {
    /// Whether a call that comes now is taken.
    fn takes(&self, region: &Region, now: Duration) -> bool {
        self.calls.set(self.calls.get() + 1);
        let mut left = self.left.borrow_mut();
        let (calls, at) = left
            .entry(region.clone())
            .or_insert((CALLS_PER_SECOND, Duration::ZERO));
        let passed = now.saturating_sub(*at).as_secs_f64();
        *calls = (*calls + passed * CALLS_PER_SECOND).min(CALLS_PER_SECOND);
        *at = now;
        // Spaced by a fifteenth of a second, which no number of nanoseconds is.
        if *calls < 1.0 - 1e-6 {
            self.throttled.set(self.throttled.get() + 1);
            return false;
        }
        *calls -= 1.0;
        true
    }
}

/// A process that publishes: a machine, or one instance of the function.
pub(super) struct Process<'a> {
    time: &'a Time,
    plane: &'a ControlPlane,
    paces: BTreeMap<Region, (Pace, tokio::sync::Mutex<()>)>,
    /// Bytes a second that leave it, and when the line is free.
    line: f64,
    line_free: Cell<Duration>,
    /// Versions that could not be had in all tries.
    pub(super) failed: Cell<usize>,
    /// How long it was at work, in seconds.
    pub(super) busy: Cell<f64>,
    chance: Cell<u64>,
}

impl<'a> Process<'a> {
    pub(super) fn new(
        time: &'a Time,
        plane: &'a ControlPlane,
        regions: &[Region],
        line: f64,
        number: u64,
    ) -> Self {
        let pace = |region: &Region| (region.clone(), (Pace::new(), tokio::sync::Mutex::new(())));
        Self {
            time,
            plane,
            paces: regions.iter().map(pace).collect(),
            line,
            line_free: Cell::default(),
            failed: Cell::default(),
            busy: Cell::default(),
            chance: Cell::new(number + 1),
        }
    }

    /// Publishes one zip to all its regions at once, as the publishing step does.
    pub(super) async fn publish(&self, regions: &[Region], zip: f64) {
        let began = self.time.now();
        let work: Vec<_> = regions
            .iter()
            .map(|region| self.in_region(region, zip))
            .collect();
        let all = regions.len().max(1);
        let done: Vec<bool> = stream::iter(work).buffered(all).collect().await;
        let failed = done.iter().filter(|done| !**done).count();
        self.failed.set(self.failed.get() + failed);
        let took = self.time.now() - began;
        self.busy.set(self.busy.get() + took.as_secs_f64());
    }

    async fn in_region(&self, region: &Region, zip: f64) -> bool {
        self.call(region, SMALL_CALL, 0.0).await
            // As base64 in JSON.
            && self.call(region, UNPACKING, zip * 4.0 / 3.0).await
            && self.call(region, SMALL_CALL, 0.0).await
            && {
                let (permissions, version) = join(
                    self.call(region, SMALL_CALL, 0.0),
                    self.call(region, SMALL_CALL, 0.0),
                )
                .await;
                permissions && version
            }
    }

    /// One call with its tries; whether it was taken in the end.
    async fn call(&self, region: &Region, takes: Duration, bytes: f64) -> bool {
        let (pace, queue) = &self.paces[region];
        for attempt in 0..CALL_ATTEMPTS {
            {
                // `Pace::turn`, in simulated time.
                let _turn = queue.lock().await;
                self.time.sleep(pace.wait(self.time.now())).await;
                pace.take(self.time.now());
            }
            self.upload(bytes).await;
            self.time.sleep(SMALL_CALL / 2).await;
            if self.plane.takes(region, self.time.now()) {
                self.time.sleep(takes - SMALL_CALL / 2).await;
                pace.recover();
                return true;
            }
            self.time.sleep(SMALL_CALL / 2).await;
            pace.slow_down(self.time.now());
            let pause = FIRST_PAUSE * 2_u32.pow(attempt);
            self.time.sleep(pause.mul_f64(self.jitter())).await;
        }
        false
    }

    /// What leaves a process leaves it one after the other, as far as time is concerned.
    async fn upload(&self, bytes: f64) {
        let now = self.time.now();
        let free = self.line_free.get().max(now) + Duration::from_secs_f64(bytes / self.line);
        self.line_free.set(free);
        self.time.sleep(free - now).await;
    }

    /// Between a half and one, the same in every simulation.
    fn jitter(&self) -> f64 {
        let next = self
            .chance
            .get()
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.chance.set(next);
        0.5 + (next >> 33) as f64 / f64::from(u32::MAX)
    }
}
