//! Whether a region is asked at all: one that does not answer, or only asks to slow down, is left alone for a while, so
//! that it costs the others and the layers to come nothing.

use super::CALL_ATTEMPTS;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Failures in a row after which a region is left alone, however quick: more than one call makes by itself, so that a call
/// which always fails, but may have done what it should, keeps nobody from looking.
const FAILURES: u32 = CALL_ATTEMPTS + 1;
/// Failures in a row that are enough when they have taken as long as the deadline.
const SLOW_FAILURES: u32 = 2;
/// Deadlines for which a region may do nothing but ask to slow down: longer than one publication tries by itself.
const SLOWED_DEADLINES: u32 = 3;

/// Regions of which at least so many are asked tell a line that is too slow from a region that is gone.
const LINE_REGIONS: usize = 3;
/// Deadlines since the last answer from anywhere after which nothing is there to be waited for.
const LINE_DEADLINES: u32 = 3;

/// What the regions have in common: this machine and its line. When most of them fail while others still answer, it is
/// these that are too slow, and leaving regions alone would only give up what is getting there.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<LineState>);

#[derive(Debug, Default)]
struct LineState {
    regions: usize,
    /// Those whose last call failed.
    failing: usize,
    answered_at: Option<Duration>,
}

impl Line {
    fn is_too_slow(&self, now: Duration, deadline: Duration) -> bool {
        let state = self.state();
        let answers = state
            .answered_at
            .is_some_and(|at| now.saturating_sub(at) < deadline * LINE_DEADLINES);
        state.regions >= LINE_REGIONS && 2 * state.failing > state.regions && answers
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One region's circuit. Times are those of a clock that never goes back, since any moment.
#[derive(Debug)]
pub(super) struct Circuit {
    /// How long a region may go without an answer that it owes.
    deadline: Duration,
    /// How long it is left alone then.
    cool_down: Duration,
    line: Arc<Line>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The region is asked.
    Closed {
        /// In a row.
        failures: u32,
        /// How long they were waited for at least: without the pauses in between, and once where calls were under way
        /// together.
        waited: Duration,
        /// When the last one that counted was known.
        known: Option<Duration>,
        /// Since when it has asked to slow down and said nothing else, and when it did so last.
        slowed: Option<(Duration, Duration)>,
    },
    /// It is left alone.
    Open { until: Duration },
    /// One call finds out.
    Trial { since: Duration },
    /// Somebody wants it asked again: the first call since then that fails has it left alone.
    Asked { since: Duration },
}

impl State {
    const FINE: Self = Self::Closed {
        failures: 0,
        waited: Duration::ZERO,
        known: None,
        slowed: None,
    };

    /// Since when it has asked to slow down, and when it did so last.
    fn slowed(since: Duration, last: Duration) -> Self {
        Self::Closed {
            failures: 0,
            waited: Duration::ZERO,
            known: None,
            slowed: Some((since, last)),
        }
    }

    /// Whether the last call failed.
    fn is_failing(self) -> bool {
        !matches!(self, Self::Closed { failures: 0, .. })
    }
}

impl Circuit {
    pub(super) fn new(deadline: Duration, cool_down: Duration, line: Arc<Line>) -> Self {
        line.state().regions += 1;
        Self {
            deadline,
            cool_down,
            line,
            state: Mutex::new(State::FINE),
        }
    }

    /// Whether a call would be turned away now.
    pub(super) fn is_open(&self, now: Duration) -> bool {
        self.turns_away(*self.state(), now)
    }

    fn turns_away(&self, state: State, now: Duration) -> bool {
        match state {
            State::Closed { .. } | State::Asked { .. } => false,
            State::Open { until } => now < until,
            // A trial that nobody waits for any more is not waited for either.
            State::Trial { since } => now < since + self.cool_down,
        }
    }

    /// Asks for leave to call. After the cool-down one call gets it, and the others wait for what becomes of that one.
    pub(super) fn admits(&self, now: Duration) -> bool {
        let mut state = self.state();
        if self.turns_away(*state, now) {
            return false;
        }
        if matches!(*state, State::Open { .. } | State::Trial { .. }) {
            *state = State::Trial { since: now };
        }
        true
    }

    /// The region answered that it is asked too often.
    pub(super) fn slowed_down(&self, now: Duration) {
        let mut state = self.state();
        let before = *state;
        let open = State::Open {
            until: now + self.cool_down,
        };
        *state = match before {
            State::Open { .. } => before,
            State::Trial { .. } => open,
            State::Asked { .. } => State::slowed(now, now),
            State::Closed { slowed, .. } => {
                // What was said long ago says nothing of now: the longest pause between two tries is a deadline.
                let lately = slowed.filter(|(_, last)| {
                    now.saturating_sub(*last) <= self.deadline * SLOWED_DEADLINES
                });
                let since = lately.map_or(now, |(since, _)| since);
                if now.saturating_sub(since) >= self.deadline * SLOWED_DEADLINES {
                    open
                } else {
                    State::slowed(since, now)
                }
            }
        };
        let mut line = self.line.state();
        match (before.is_failing(), state.is_failing()) {
            (true, false) => line.failing = line.failing.saturating_sub(1),
            (false, true) => line.failing += 1,
            _ => {}
        }
        line.answered_at = line.answered_at.max(Some(now));
    }

    /// The region answered something.
    pub(super) fn answered(&self, now: Duration) {
        let before = std::mem::replace(&mut *self.state(), State::FINE);
        let mut line = self.line.state();
        if before.is_failing() {
            line.failing = line.failing.saturating_sub(1);
        }
        line.answered_at = line.answered_at.max(Some(now));
    }

    /// A call that began then came to nothing.
    pub(super) fn failed(&self, began: Duration, now: Duration) {
        let mut state = self.state();
        if !state.is_failing() {
            self.line.state().failing += 1;
        }
        let open = State::Open {
            until: now + self.cool_down,
        };
        *state = match *state {
            // What was sent before says nothing of now.
            State::Trial { since } | State::Asked { since } if began < since => *state,
            State::Trial { .. } | State::Asked { .. } => open,
            State::Open { until } => State::Open { until },
            State::Closed {
                failures,
                waited,
                known,
                slowed,
            } => {
                // Calls that were under way together say one thing together.
                let is_another = known.is_none_or(|known| began >= known);
                let failures = failures.saturating_add(u32::from(is_another));
                let took = now.saturating_sub(began);
                let (waited, known) = if is_another {
                    (waited + took, Some(now))
                } else {
                    (waited.max(took), known)
                };
                let is_late = waited >= self.deadline;
                let is_enough = failures >= FAILURES || (failures >= SLOW_FAILURES && is_late);
                if is_enough && !self.line.is_too_slow(now, self.deadline) {
                    open
                } else {
                    State::Closed {
                        failures,
                        waited,
                        known,
                        slowed,
                    }
                }
            }
        };
    }

    /// Somebody wants the region asked again now: calls go, and the first that fails ends that.
    pub(super) fn ask_again(&self, now: Duration) {
        let mut state = self.state();
        if matches!(*state, State::Open { .. } | State::Trial { .. }) {
            *state = State::Asked { since: now };
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn circuit() -> Circuit {
        Circuit::new(at(20), at(30), Arc::default())
    }

    #[test]
    fn a_region_that_only_asks_to_slow_down_is_left_alone_after_a_while() {
        let circuit = circuit();
        for second in [0, 20, 40, 59] {
            circuit.slowed_down(at(second));
            assert!(circuit.admits(at(second)));
        }
        // Any other answer begins that anew.
        circuit.answered(at(59));
        for second in [60, 90, 119] {
            circuit.slowed_down(at(second));
            assert!(circuit.admits(at(second)));
        }
        circuit.slowed_down(at(120));
        assert!(!circuit.admits(at(121)));
        let idle = self::circuit();
        idle.slowed_down(at(0));
        idle.slowed_down(at(3_600));
        assert!(idle.admits(at(3_601)), "nobody asked it in between");
        assert!(circuit.admits(at(150)), "one call finds out");
        circuit.slowed_down(at(151));
        assert!(!circuit.admits(at(152)));
        assert!(circuit.admits(at(181)));
        circuit.answered(at(182));
        assert!(circuit.admits(at(183)));
        let line = circuit.line.state();
        assert_eq!((line.regions, line.failing), (1, 0));
    }

    #[test]
    fn when_most_regions_fail_and_some_answer_none_is_left_alone() {
        let line = Arc::default();
        let circuits: Vec<Circuit> = (0..5)
            .map(|_| Circuit::new(at(20), at(30), Arc::clone(&line)))
            .collect();
        circuits[0].answered(at(1));
        for circuit in &circuits[1..4] {
            circuit.failed(at(0), at(10));
        }
        circuits[1].failed(at(10), at(20));
        assert!(circuits[1].admits(at(21)), "three of five fail");
        circuits[2].answered(at(22));
        circuits[3].answered(at(22));
        circuits[1].failed(at(20), at(40));
        assert!(!circuits[1].admits(at(41)), "one of five fails");
        for circuit in &circuits[2..] {
            circuit.failed(at(80), at(100));
            circuit.failed(at(100), at(120));
            assert!(!circuit.admits(at(121)), "nothing answers any more");
        }
    }

    #[test]
    fn a_few_quick_failures_in_a_row_open_it() {
        let circuit = circuit();
        for _ in 1..FAILURES {
            circuit.failed(at(1), at(1));
        }
        circuit.answered(at(3));
        for _ in 1..FAILURES {
            circuit.failed(at(3), at(3));
        }
        assert!(circuit.admits(at(3)));
        circuit.failed(at(3), at(3));
        assert!(!circuit.admits(at(3)) && !circuit.admits(at(32)));
    }

    #[test]
    fn the_tries_of_a_single_call_do_not_open_it_however_long_the_pauses_between_them() {
        let circuit = circuit();
        for second in (0..).step_by(10).take(CALL_ATTEMPTS as usize) {
            circuit.failed(at(second), at(second + 1));
        }
        assert!(circuit.admits(at(42)), "a look at what it came to");
        circuit.failed(at(42), at(43));
        assert!(!circuit.admits(at(43)), "that failed as well");
    }

    #[test]
    fn two_failures_open_it_when_they_took_as_long_as_the_deadline() {
        let circuit = circuit();
        circuit.failed(at(0), at(20));
        circuit.failed(at(1), at(21));
        assert!(circuit.admits(at(21)), "both were under way together");
        circuit.failed(at(21), at(41));
        assert!(!circuit.admits(at(41)));
    }

    #[test]
    fn after_the_cool_down_one_call_finds_out() {
        let circuit = circuit();
        circuit.failed(at(0), at(10));
        circuit.failed(at(10), at(20));
        assert!(!circuit.admits(at(49)) && circuit.admits(at(50)));
        assert!(!circuit.admits(at(50)), "a second one waits");
        circuit.failed(at(50), at(55));
        assert!(!circuit.admits(at(84)) && circuit.admits(at(85)));
        circuit.answered(at(3));
        assert!(circuit.admits(at(86)) && circuit.admits(at(86)));
    }

    #[test]
    fn a_trial_that_was_dropped_blocks_nobody_for_ever() {
        let circuit = circuit();
        circuit.failed(at(0), at(10));
        circuit.failed(at(10), at(20));
        assert!(circuit.admits(at(50)));
        assert!(!circuit.admits(at(79)) && circuit.admits(at(80)));
    }

    #[test]
    fn asked_again_it_takes_one_failure() {
        let circuit = circuit();
        circuit.failed(at(0), at(10));
        circuit.failed(at(10), at(20));
        circuit.ask_again(at(21));
        assert!(circuit.admits(at(21)) && circuit.admits(at(21)));
        circuit.failed(at(21), at(22));
        assert!(!circuit.admits(at(22)));
    }

    #[test]
    fn what_was_sent_before_decides_neither_a_trial_nor_what_is_asked_again() {
        let circuit = circuit();
        circuit.failed(at(0), at(10));
        circuit.failed(at(10), at(20));
        circuit.ask_again(at(25));
        circuit.failed(at(15), at(35));
        assert!(circuit.admits(at(36)));
        circuit.failed(at(36), at(37));
        assert!(!circuit.admits(at(66)) && circuit.admits(at(67)));
        circuit.failed(at(50), at(68));
        assert!(!circuit.admits(at(96)), "the trial is not over");
        assert!(circuit.admits(at(97)), "nobody waits for it any more");
        circuit.ask_again(at(98));
        circuit.slowed_down(at(99));
        for _ in 1..FAILURES {
            circuit.failed(at(99), at(99));
        }
        assert!(circuit.admits(at(99)), "it answered: it takes more again");
        assert_eq!(circuit.line.state().failing, 1);
    }
}
