//! Ends an operation that takes too long, from another thread.

use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Told once to stop, it closes the connections it was given, so that whoever waits on one wakes up.
#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    connections: Vec<TcpStream>,
}

impl Stop {
    /// Ends the operation; doing it again changes nothing.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state
            .connections
            .drain(..)
            .for_each(|stream| close(&stream));
        self.changed.notify_all();
    }

    /// Whether the operation was ended.
    pub(super) fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Closes this connection when the operation is ended, or now when it was.
    pub(super) fn close_on_stop(&self, connection: TcpStream) {
        let mut state = self.state();
        if state.stopped {
            close(&connection);
        } else {
            state.connections.push(connection);
        }
    }

    /// Waits, but no longer than until the operation is ended.
    pub(super) fn pause(&self, duration: Duration) {
        let state = self.state();
        // Only the waiting matters; who wants to know why it ended asks `stopped`.
        drop(
            self.changed
                .wait_timeout_while(state, duration, |state| !state.stopped)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and the state is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes both directions. A connection that is closed already needs nothing more.
pub(super) fn close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Both).ok();
}
