//! Power cuts at exact places: a process is killed at the n-th thing it does to the world outside.
//!
//! What a process does outside is counted where it arrives, and the process knows nothing of it:
//!
//! | line | counted by |
//! |---|---|
//! | AWS, GitHub, the package index | [`Wire`], a relay in front of each |
//! | git | the command that the SSH server runs ([`GitServer::cut_power`](crate::ssh::GitServer::cut_power)) |
//! | the journal | [`StoreWatch`], a library that is loaded before the C library and sees writes and syncs of the store's files |
//!
//! Each has two moments. *Before*: the call arrived and nothing came of it; of a write, the first part is in the file and
//! the rest never is. *After*: it took effect and the process never hears so. Calls are made side by side, so which call
//! is the n-th differs from run to run; that it is killed at the n-th does not.
//!
//! What was on its way when the process died is waited for ([`PowerCut::is_quiet`]) before it is started again, and what
//! it had sent but nobody had read is dropped: a call that takes effect long after its sender died is a network that holds
//! messages back, not a power cut ([`AwsFault::Late`](crate::aws_proxy::AwsFault::Late) is that).

mod store_watch;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub use store_watch::StoreWatch;
pub use wire::Wire;

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    Aws,
    Github,
    Index,
    Git,
    Journal,
}

/// On which side of the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Before,
    After,
}

/// One place where the power goes: the call of that number, counted from 1, on that line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub line: Line,
    pub number: usize,
    pub moment: Moment,
}

/// The power of one process. Clones share it.
#[derive(Clone, Default)]
pub struct PowerCut {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    under_way: AtomicUsize,
}

#[derive(Default)]
struct State {
    armed: Option<Point>,
    process: Option<u32>,
    counts: BTreeMap<Line, usize>,
    is_off: bool,
}

impl PowerCut {
    /// Goes at this point; never with `None`, and then it only counts.
    pub fn at(armed: Option<Point>) -> Self {
        let cut = Self::default();
        cut.state().armed = armed;
        cut
    }

    /// Says which process it is about, as soon as there is one.
    pub fn process(&self, id: u32) {
        self.state().process = Some(id);
    }

    /// How many calls came on a line.
    pub fn calls(&self, line: Line) -> usize {
        self.state().counts.get(&line).copied().unwrap_or_default()
    }

    /// Whether nothing that the process sent is being carried out any more.
    pub fn is_quiet(&self) -> bool {
        self.shared.under_way.load(Ordering::SeqCst) == 0
    }

    /// Counts a call; `None` when the power is off already, else whether it goes at this call, and when.
    fn count(&self, line: Line) -> Option<Option<Moment>> {
        let mut state = self.state();
        if state.is_off {
            return None;
        }
        let count = state.counts.entry(line).or_default();
        *count += 1;
        let number = *count;
        let goes = state
            .armed
            .filter(|point| (point.line, point.number) == (line, number))
            .map(|point| point.moment);
        if goes == Some(Moment::Before) {
            state.is_off = true;
        }
        Some(goes)
    }

    /// Kills the process; nothing it sent is passed on from now on.
    async fn go(&self) {
        let process = loop {
            {
                let mut state = self.state();
                state.is_off = true;
                if let Some(process) = state.process {
                    break process;
                }
            }
            // It was started a moment ago, and whoever started it is about to say so.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let id = i32::try_from(process).ok().and_then(Pid::from_raw);
        // It fails when the process is gone already, which is what was wanted.
        kill_process(id.expect("a process has an id"), Signal::KILL).ok();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lasts as long as a call is being carried out.
struct UnderWay(PowerCut);

impl UnderWay {
    fn new(cut: &PowerCut) -> Self {
        cut.shared.under_way.fetch_add(1, Ordering::SeqCst);
        Self(cut.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.shared.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
