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
    /// Bytes came that do not belong to a request which has been answered.
    half_read: bool,
    /// Bytes may wait to be written.
    half_written: bool,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Default for Activity {
    fn default() -> Self {
        let since = Instant::now();
        Self(Mutex::new(State { begun: false, running: 0, since, half_read: false, half_written: false }))
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

    /// Notes that bytes came.
    pub(super) fn has_read(&self) {
        self.change(|state| state.half_read = true);
    }

    /// Notes that bytes wait to be written, or that none does.
    pub(super) fn is_writing(&self, bytes_wait: bool) {
        self.change(|state| state.half_written = bytes_wait);
    }

    /// Whether a request ever came.
    pub(super) fn has_begun(&self) -> bool {
        self.change(|state| state.begun)
    }

    /// How long there has been nothing to answer; `None` if there is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.change(|state| state.idle_for())
    }

    /// Whether it has been for so long between two requests, with nothing half read or half written.
    ///
    /// The beginning of a next request that came along with the end of the last one is overlooked.
    pub(super) fn is_at_rest_for(&self, least: Duration) -> bool {
        self.change(|state| {
            let idle = state.begun && !state.half_read && !state.half_written;
            idle && state.idle_for().is_some_and(|since| since >= least)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn idle_for(&self) -> Option<Duration> {
        (self.running == 0).then(|| self.since.elapsed())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.running -= 1;
            state.since = Instant::now();
            state.half_read = false;
        });
    }
}
