//! A clock that stands still until it is told otherwise.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::{ports::clock::Clock, time::Timestamp};

/// Tells the time that was last set.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at an instant.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Moves the clock to an instant, be it earlier or later.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward by so many seconds (back, if negative).
    pub fn advance(&self, seconds: i64) {
        self.advance_ms(seconds.saturating_mul(1000));
    }

    /// Moves the clock forward by so many milliseconds (back, if negative).
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
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
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
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
