//! One fault: which call to a port fails, and how.
//!
//! Calls are counted only while a window is open, in the order in which they begin; what prepares a point and what
//! retries it stays whole.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portico_core::memory::clock::ManualClock;
use portico_core::ports::store::{Key, Write};

/// How long a slow port takes, in seconds.
const SLOW_SECONDS: i64 = 4;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// An error; nothing is done.
    Refused,
    /// The port asks for patience; nothing is done.
    Throttled,
    /// It is done, and then there is an error.
    Applied,
    /// No answer in time; nothing is done.
    TimedOut,
    /// No answer in time, and yet it is done.
    TimedOutApplied,
    /// It is done, after some seconds.
    Slow,
    /// An answer whose body breaks off.
    BrokenOff,
    /// An error, and so at every later call until the window closes.
    Outage,
}

/// A method of a port, and how it can fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) port: &'static str,
    pub(crate) method: &'static str,
    pub(crate) ways: &'static [Way],
    /// How long it takes when there is no answer in time, in seconds.
    pub(crate) timeout_seconds: i64,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.port, self.method)
    }
}

/// Counts calls, and lets one of them fail.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    clock: Arc<ManualClock>,
    /// The one port whose calls count; all, if none is named.
    only: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    calls: Vec<Call>,
    fault: Option<(usize, Way)>,
    hit: Option<Call>,
    written: BTreeMap<(&'static str, String, Option<String>), Key>,
}

impl FaultPlan {
    pub(crate) fn new(clock: Arc<ManualClock>, only: Option<&'static str>) -> Self {
        Self { clock, only, state: Mutex::default() }
    }

    /// Begins anew: nothing counted, nothing written, and this call to fail.
    pub(crate) fn begin(&self, fault: Option<(usize, Way)>) {
        *self.state() = State { fault, ..State::default() };
    }

    pub(crate) fn open(&self) {
        self.state().open = true;
    }

    pub(crate) fn close(&self) {
        self.state().open = false;
    }

    /// What was called while a window was open.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The call that failed, if it was made.
    pub(crate) fn hit(&self) -> Option<Call> {
        self.state().hit
    }

    /// How a call failed, if it was made.
    pub(crate) fn way(&self) -> Option<Way> {
        let state = self.state();
        state.hit.and(state.fault).map(|(_, way)| way)
    }

    /// Every key that a transaction named since the beginning, whatever became of it.
    pub(crate) fn written(&self) -> Vec<Key> {
        self.state().written.values().cloned().collect()
    }

    pub(crate) fn note(&self, writes: &[Write]) {
        let mut state = self.state();
        for key in writes.iter().map(Write::key) {
            state.written.insert((key.table.name, key.hash.clone(), key.range.clone()), key.clone());
        }
    }

    /// Counts a call; says how it is to fail.
    pub(crate) fn next(&self, call: Call) -> Option<Way> {
        let mut state = self.state();
        if !state.open || self.only.is_some_and(|only| only != call.port) {
            return None;
        }
        state.calls.push(call);
        let (at, way) = state.fault?;
        let number = state.calls.len() - 1;
        if number == at {
            state.hit = Some(call);
            return Some(way);
        }
        (way == Way::Outage && number > at).then_some(Way::Refused)
    }

    /// Makes a call, or lets it fail.
    pub(crate) async fn call<T, E>(
        &self,
        call: Call,
        failure: impl Fn(Way) -> E + Send,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let Some(way) = self.next(call) else { return work.await };
        match way {
            Way::Refused | Way::Throttled | Way::Outage => Err(failure(way)),
            Way::TimedOut => {
                self.clock.advance(call.timeout_seconds);
                Err(failure(way))
            }
            // What it would have refused anyway, it refuses.
            Way::Applied => work.await.and_then(|_| Err(failure(way))),
            Way::TimedOutApplied => {
                let done = work.await;
                self.clock.advance(call.timeout_seconds);
                done.and_then(|_| Err(failure(way)))
            }
            Way::Slow => {
                self.clock.advance(SLOW_SECONDS);
                work.await
            }
            Way::BrokenOff => unreachable!("{call:?} has no body"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
