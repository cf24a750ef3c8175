//! Whether a connection is being used, and since when it is not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    begun: bool,
    running: usize,
    since: Instant,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new(State { begun: false, running: 0, since: Instant::now() }))
    }
}

impl Activity {
    /// Notes that a request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.change(|state| {
            state.begun = true;
            state.running += 1;
        });
        Busy(Arc::clone(self))
    }

    /// Whether a request ever came.
    pub(super) fn has_begun(&self) -> bool {
        self.change(|state| state.begun)
    }

    /// How long there has been nothing to answer; `None` if there is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.change(|state| (state.running == 0).then(|| state.since.elapsed()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.running -= 1;
            state.since = Instant::now();
        });
    }
}
