//! A clock that does not make anybody wait: for tests.

use std::sync::{Mutex, PoisonError};

use futures::future::{self, BoxFuture};

use crate::{memory::clock::ManualClock, ports::clock::Clock, time::Timestamp};

/// Sleeps by moving itself forward.
#[derive(Debug, Default)]
pub(crate) struct RestlessClock {
    clock: ManualClock,
    pauses: Mutex<Vec<u64>>,
}

impl RestlessClock {
    /// How long it was asked to sleep, each time.
    pub(crate) fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
    }
}

impl Clock for RestlessClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).push(duration_ms);
        self.clock.advance_ms(i64::try_from(duration_ms).unwrap_or(i64::MAX));
        Box::pin(future::ready(()))
    }
}
