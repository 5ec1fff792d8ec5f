//! Functions that die in the middle of what they do.

use std::sync::Mutex;

use super::calls::Call;
use super::door::{Shared, locked};
use super::functions;

/// When a function dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// AWS never sees the call.
    Before,
    /// AWS does it, and nobody hears of it.
    After,
}

#[derive(Debug)]
struct Planned {
    function: String,
    operation: String,
    /// After how many such calls.
    calls: usize,
    death: Death,
}

/// The deaths that are to come.
#[derive(Default)]
pub(super) struct Deaths(Mutex<Vec<Planned>>);

impl Deaths {
    pub(super) fn plan(&self, function: &str, operation: &str, number: usize, death: Death) {
        locked(&self.0).push(Planned {
            function: function.to_owned(),
            operation: operation.to_owned(),
            calls: number,
            death,
        });
    }

    /// The deaths that nobody died yet.
    pub(super) fn left(&self) -> Vec<String> {
        let planned = locked(&self.0);
        planned.iter().map(|one| format!("{one:?}")).collect()
    }

    /// Whether whoever makes this call dies of it.
    pub(super) fn of(&self, call: &Call) -> Option<Death> {
        let mut planned = locked(&self.0);
        let mut reached = None;
        for (at, one) in planned.iter_mut().enumerate() {
            if one.function == call.function() && one.operation == call.operation {
                one.calls = one.calls.saturating_sub(1);
                if one.calls == 0 && reached.is_none() {
                    reached = Some(at);
                }
            }
        }
        Some(planned.remove(reached?).death)
    }

    /// Ends whoever makes this call.
    pub(super) fn kill(&self, shared: &Shared, call: &Call) {
        let file = shared.folder.join("processes").join(&call.caller);
        assert!(functions::kill(&file), "{} cannot be killed", call.caller);
    }

    /// Ends whoever carries out an invocation.
    pub(super) fn kill_carrier(&self, shared: &Shared, mark: u64) {
        if let Some(instance) = shared.instances.carrier(mark) {
            functions::kill(&shared.folder.join("processes").join(instance));
        }
    }
}
