//! How often a service may be asked again in all, so that callers who are many do not keep down a service in trouble.
//!
//! Invariant: what is sent is never more than three times what callers asked for, and a reserve; while nothing is answered,
//! twice, and before long once.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use crate::time::Timestamp;

/// The most that can be saved up: what a few callers need until their deadlines, and little for a crowd.
const RESERVE: u32 = 100;

/// Stands for no time at all: the service answered last.
const NOT_SILENT: i64 = i64::MAX;

/// The attempts that are left to the callers of one client together.
///
/// # Behavior
/// A request earns one more attempt when it is made, and another when it is answered. While most are, it is never felt:
/// they earn more than they need. Once a service answers nearly none, the reserve is used up and each request has one
/// more attempt on average; the others fail at once, which also spares their callers the wait. It is known, too, for how
/// long the service has been silent, so that who asks several times in a row does not wait for as long each time.
#[derive(Debug)]
pub struct RetryBudget {
    left: AtomicU32,
    silent_since: AtomicI64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: AtomicU32::new(RESERVE), silent_since: AtomicI64::new(NOT_SILENT) }
    }
}

impl RetryBudget {
    /// Notes that the service answered somebody, and adds an attempt.
    pub(super) fn answered(&self) {
        self.silent_since.store(NOT_SILENT, Ordering::Relaxed);
        self.earn();
    }

    /// Notes that somebody got no answer, and tells for how many milliseconds nobody has got one.
    pub(super) fn unanswered(&self, now: Timestamp) -> u64 {
        let since = self.silent_since.fetch_min(now.as_millis(), Ordering::Relaxed).min(now.as_millis());
        now.as_millis().abs_diff(since)
    }

    /// Adds an attempt.
    pub(super) fn earn(&self) {
        self.change(|left| Some(left.saturating_add(1).min(RESERVE)));
    }

    /// Takes one attempt, if any is left.
    pub(super) fn spend(&self) -> bool {
        self.change(|left| left.checked_sub(1))
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_earned_up_to_the_reserve() {
        let budget = RetryBudget::default();
        let spend_all = || (0..1_000).take_while(|_| budget.spend()).count();
        assert_eq!(spend_all(), 100);
        assert_eq!(spend_all(), 0);
        budget.earn();
        assert_eq!(spend_all(), 1);
        (0..1_000).for_each(|_| budget.earn());
        assert_eq!(spend_all(), 100);
    }

    #[test]
    fn silence_lasts_from_the_first_failure_to_the_next_answer() {
        let (budget, at) = (RetryBudget::default(), Timestamp::from_millis);
        assert_eq!([5_000, 7_000, 9_000].map(|ms| budget.unanswered(at(ms))), [0, 2_000, 4_000]);
        budget.answered();
        assert_eq!([60_000, 60_001].map(|ms| budget.unanswered(at(ms))), [0, 1]);
        // A clock that was set back: silence begins anew.
        assert_eq!([1_000, 1_500].map(|ms| budget.unanswered(at(ms))), [0, 500]);
    }
}
