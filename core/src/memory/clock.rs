//! A clock that stands still until it is told otherwise.

use std::future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use futures::future::BoxFuture;

use crate::{ports::clock::Clock, time::Timestamp};

/// Tells the time that was last set.
#[derive(Debug)]
pub struct ManualClock {
    now: Arc<AtomicI64>,
    sleepers: Arc<Mutex<Vec<Waker>>>,
}

impl ManualClock {
    /// A clock that stands at an instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: Arc::new(AtomicI64::new(now.as_millis())), sleepers: Arc::default() }
    }

    /// Moves the clock to an instant, be it earlier or later.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.as_millis(), Ordering::SeqCst);
        self.wake();
    }

    /// Moves the clock forward by so many seconds (back, if negative).
    pub fn advance(&self, seconds: i64) {
        self.advance_ms(seconds.saturating_mul(1000));
    }

    /// Moves the clock forward by so many milliseconds (back, if negative).
    pub fn advance_ms(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let sleepers = std::mem::take(&mut *self.sleepers.lock().unwrap_or_else(PoisonError::into_inner));
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Default for ManualClock {
    /// A clock that stands at 2026-02-20T10:00:00.000Z.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_771_581_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        let end = self.now().as_millis().saturating_add_unsigned(duration_ms);
        let (now, sleepers) = (Arc::clone(&self.now), Arc::clone(&self.sleepers));
        Box::pin(future::poll_fn(move |context| {
            if now.load(Ordering::SeqCst) >= end {
                return Poll::Ready(());
            }
            sleepers.lock().unwrap_or_else(PoisonError::into_inner).push(context.waker().clone());
            Poll::Pending
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_when_told() {
        let clock = ManualClock::default();
        assert_eq!(clock.now().to_string(), "2026-02-20T10:00:00.000Z");
        clock.advance(-1);
        clock.advance_ms(250);
        assert_eq!(clock.now().to_string(), "2026-02-20T09:59:59.250Z");
        clock.set(Timestamp::from_millis(7));
        assert_eq!(clock.now().as_millis(), 7);
    }
}
