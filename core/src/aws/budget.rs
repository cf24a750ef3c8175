//! How often a service may be asked again in all, so that callers who are many do not keep down a service in trouble.
//!
//! Invariant: what is sent is never more than three times what callers asked for, and a reserve; while nothing is answered,
//! twice.

use std::sync::atomic::{AtomicU32, Ordering};

/// The most that can be saved up: what a few callers need until their deadlines, and little for a crowd.
const RESERVE: u32 = 100;

/// The attempts that are left to the callers of one client together.
///
/// # Behavior
/// A request earns one more attempt when it is made, and another when it is answered. While most are, it is never felt:
/// they earn more than they need. Once a service answers nearly none, the reserve is used up and each request has one
/// more attempt on average; the others fail at once, which also spares their callers the wait.
#[derive(Debug)]
pub struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(RESERVE))
    }
}

impl RetryBudget {
    /// Adds an attempt.
    pub(super) fn earn(&self) {
        self.change(|left| Some(left.saturating_add(1).min(RESERVE)));
    }

    /// Takes one attempt, if any is left.
    pub(super) fn spend(&self) -> bool {
        self.change(|left| left.checked_sub(1))
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
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
}
