//! How fast one region is asked: as fast as AWS takes calls, slower after it asked to slow down.
//!
//! Source: AWS Lambda quotas, "Rate of API requests excluding invocation": 15 requests per second for each account and
//! region, shared by all calls and not adjustable.

use super::Clock;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Calls per second that AWS takes.
const HIGHEST: f64 = 15.0;
/// Calls per second below which the pace never falls.
const LOWEST: f64 = 0.5;
/// Calls per second that one answer which does not ask to slow down gives back.
const RECOVERY: f64 = 0.5;
/// Calls under way at once all hear the same: within this time the pace is halved once.
const ONE_HALVING: Duration = Duration::from_secs(1);

/// The pace of everything that this process asks of one region. Calls go in the order they came, evenly spaced.
#[derive(Debug)]
pub(super) struct Pace {
    /// Held by the one whose turn is next.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// Times are those of a clock that never goes back, since any moment.
#[derive(Debug, Clone, Copy)]
struct State {
    /// When the next call may go.
    next: Duration,
    per_second: f64,
    halved_at: Option<Duration>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            queue: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                next: Duration::ZERO,
                per_second: HIGHEST,
                halved_at: None,
            }),
        }
    }

    /// Waits for this call's turn. One that is dropped while it waits takes nobody's, and neither does one that is not to be
    /// made any more when its turn comes: then the answer is false.
    pub(super) async fn turn(&self, clock: &Clock, is_wanted: impl FnOnce() -> bool) -> bool {
        let _turn = self.queue.lock().await;
        let wait = self.wait(clock());
        // A sleep takes a moment even when there is nothing to wait for.
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let is_wanted = is_wanted();
        if is_wanted {
            self.take(clock());
        }
        is_wanted
    }

    /// Whether a call would soon have its turn: nobody waits, and the next turn is no further away than at full pace.
    pub(super) fn is_unhurried(&self, now: Duration) -> bool {
        let is_soon = self.wait(now) <= Duration::from_secs_f64(1.0 / HIGHEST);
        is_soon && self.queue.try_lock().is_ok()
    }

    /// How long the next call has to wait yet.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.state().next.saturating_sub(now)
    }

    /// A call goes now.
    pub(super) fn take(&self, now: Duration) {
        let mut state = self.state();
        state.next = now + Duration::from_secs_f64(1.0 / state.per_second);
    }

    /// AWS asked to slow down.
    pub(super) fn slow_down(&self, now: Duration) {
        let mut state = self.state();
        let is_old = |at: Duration| now.saturating_sub(at) >= ONE_HALVING;
        if state.halved_at.is_none_or(is_old) {
            state.per_second = (state.per_second / 2.0).max(LOWEST);
            state.halved_at = Some(now);
        }
    }

    /// AWS answered otherwise.
    pub(super) fn recover(&self) {
        let mut state = self.state();
        state.per_second = (state.per_second + RECOVERY).min(HIGHEST);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls go from one moment to another, when there are always more.
    fn calls(pace: &Pace, from: Duration, to: Duration) -> usize {
        let (mut now, mut count) = (from, 0);
        loop {
            now += pace.wait(now);
            if now >= to {
                return count;
            }
            pace.take(now);
            count += 1;
        }
    }

    const fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_second_sees_more_than_aws_takes() {
        let pace = Pace::new();
        assert_eq!(calls(&pace, second(0), second(1)), 15);
        // Turns that nobody took are not saved up.
        assert_eq!(calls(&pace, second(60), second(61)), 15);
        assert_eq!(calls(&pace, second(61), second(71)), 150);
    }

    #[test]
    fn it_slows_down_once_for_all_calls_under_way_and_recovers() {
        let pace = Pace::new();
        for _ in 0..10 {
            pace.slow_down(second(0));
        }
        let halved = calls(&pace, second(1), second(11));
        assert!((75..=76).contains(&halved), "{halved}");
        for time in 11..31 {
            pace.slow_down(second(time));
        }
        assert_eq!(calls(&pace, second(40), second(50)), 5);
        for _ in 0..29 {
            pace.recover();
        }
        assert_eq!(calls(&pace, second(60), second(61)), 15);
    }

    #[tokio::test]
    async fn a_pace_is_unhurried_when_a_turn_is_near_and_nobody_waits_for_it() {
        let pace = Pace::new();
        let standing: Clock = std::sync::Arc::new(|| second(5));
        assert!(pace.is_unhurried(second(5)));
        pace.turn(&standing, || true).await;
        assert!(pace.is_unhurried(second(5)));
        {
            let mut waiting = std::pin::pin!(pace.turn(&standing, || true));
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            assert!(!pace.is_unhurried(second(5)));
        }
        pace.slow_down(second(5));
        pace.take(second(5));
        assert!(!pace.is_unhurried(second(5)));
        assert!(pace.is_unhurried(second(6)));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_in_the_queue_takes_no_turn() {
        let pace = Pace::new();
        let standing: Clock = std::sync::Arc::new(|| second(5));
        pace.turn(&standing, || true).await;
        assert!(futures::poll!(std::pin::pin!(pace.turn(&standing, || true))).is_pending());
        assert!(pace.wait(second(5)) <= Duration::from_millis(67));
    }

    #[tokio::test]
    async fn a_call_that_is_not_to_be_made_any_more_takes_no_turn() {
        let pace = Pace::new();
        let standing: Clock = std::sync::Arc::new(|| second(5));
        assert!(!pace.turn(&standing, || false).await);
        assert_eq!(pace.wait(second(5)), Duration::ZERO);
    }
}
