//! A clock that does not make anybody wait.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{self, BoxFuture};

use crate::{memory::clock::ManualClock, ports::clock::Clock, time::Timestamp};

/// Sleeps by moving another clock forward.
#[derive(Debug, Default)]
pub struct RestlessClock {
    clock: Arc<ManualClock>,
    pauses: Mutex<Vec<u64>>,
}

impl RestlessClock {
    /// Tells the other clock's time, and moves it.
    #[must_use]
    pub fn over(clock: Arc<ManualClock>) -> Self {
        Self { clock, pauses: Mutex::default() }
    }

    /// How long it was asked to sleep, each time, in milliseconds.
    #[must_use]
    pub fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves forward by so many milliseconds (back, if negative), as if somebody had slept.
    pub fn advance_ms(&self, ms: i64) {
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
