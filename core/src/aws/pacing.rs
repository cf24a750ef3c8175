//! When to ask a service again: after random pauses that double, until a deadline, until all callers together have
//! asked often enough, or if none of them has got an answer for as long as the deadline.

use super::{budget::RetryBudget, failure::Failure};
use crate::{
    ports::{clock::Clock, entropy::Entropy},
    time::Timestamp,
};

/// The longest first pause, in milliseconds.
const FIRST_PAUSE_MS: u64 = 25;

/// The longest pause, in milliseconds.
pub(crate) const LONGEST_PAUSE_MS: u64 = 2_000;

/// The attempts at one request.
#[derive(Debug)]
pub struct Pacing<'ports> {
    clock: &'ports dyn Clock,
    entropy: &'ports dyn Entropy,
    deadline_ms: u64,
    budget: Option<&'ports RetryBudget>,
    start: Timestamp,
    slept_ms: u64,
    failed: u32,
}

impl<'ports> Pacing<'ports> {
    /// Attempts of which the first begins now, and the last before the deadline.
    pub fn new(clock: &'ports dyn Clock, entropy: &'ports dyn Entropy, deadline_ms: u64) -> Self {
        Self { clock, entropy, deadline_ms, budget: None, start: clock.now(), slept_ms: 0, failed: 0 }
    }

    /// The same, as one request of those that share a budget of attempts.
    #[must_use]
    pub fn within(self, budget: &'ports RetryBudget) -> Self {
        budget.earn();
        Self { budget: Some(budget), ..self }
    }

    /// How many milliseconds to wait after an attempt that failed; `None` when there is no time left for another, or no
    /// attempt in the budget, or the service has been silent to all who share it since before the deadline's time.
    ///
    /// # Behavior
    /// A clock that goes back does not prolong the deadline: the pauses count for themselves.
    pub fn next_pause(&mut self) -> Option<u64> {
        let silent_ms = self.budget.map_or(0, |budget| budget.unanswered(self.clock.now()));
        let pause = self.pause();
        if silent_ms.max(self.elapsed()).max(self.slept_ms) + pause > self.deadline_ms {
            return None;
        }
        if self.budget.is_some_and(|budget| !budget.spend()) {
            return None;
        }
        self.slept_ms += pause;
        self.failed += 1;
        Some(pause)
    }

    /// Makes attempts at a request until one succeeds, fails in a way that does not pass, or there is no time or no
    /// attempt left.
    ///
    /// # Errors
    /// The last failure.
    pub async fn repeat<T, F>(
        mut self,
        operation: &'static str,
        mut attempt: impl FnMut() -> F + Send,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        loop {
            let outcome = attempt().await;
            if !outcome.as_ref().is_err_and(Failure::passes) {
                self.answered();
            }
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(pause) = failure.passes().then(|| self.next_pause()).flatten() else {
                return Err(failure);
            };
            let failure = failure.name();
            tracing::debug!(operation, attempt = self.failed, pause, failure, "a service is asked again");
            self.clock.sleep(pause).await;
        }
    }

    /// Notes that the service answered, for better or worse: it is well.
    pub fn answered(&self) {
        if let Some(budget) = self.budget {
            budget.answered();
        }
    }

    /// How many attempts were given a pause.
    #[must_use]
    pub const fn failed(&self) -> u32 {
        self.failed
    }

    /// Full jitter, so that callers that failed together do not return together: up to a bound that doubles. Without
    /// entropy, the bound itself.
    fn pause(&self) -> u64 {
        let longest = FIRST_PAUSE_MS.saturating_mul(1 << self.failed.min(16)).min(LONGEST_PAUSE_MS);
        let mut random = [0; 8];
        match self.entropy.fill(&mut random) {
            Ok(()) => u64::from_be_bytes(random) % longest + 1,
            Err(_) => longest,
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis().saturating_sub(self.start.as_millis())).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, future::BoxFuture};

    use super::*;
    use crate::{
        memory::{clock::ManualClock, entropy::SeededEntropy, restless_clock::RestlessClock},
        ports::entropy::EntropyError,
    };

    #[derive(Debug)]
    struct NoEntropy;

    impl Entropy for NoEntropy {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError("none".into()))
        }
    }

    #[test]
    fn pauses_are_random_below_a_bound_that_doubles() {
        let (clock, entropy) = (ManualClock::default(), SeededEntropy::new(1));
        let mut pacing = Pacing::new(&clock, &entropy, 10_000);
        for longest in [25, 50, 100, 200, 400, 800, 1600, 2000, 2000] {
            assert!((1..=longest).contains(&pacing.next_pause().unwrap()), "{longest}");
        }
        assert_eq!(pacing.failed(), 9);
    }

    #[test]
    fn without_entropy_pauses_are_the_longest_until_there_is_no_time() {
        let clock = ManualClock::default();
        let mut pacing = Pacing::new(&clock, &NoEntropy, 200);
        assert_eq!([pacing.next_pause(), pacing.next_pause()], [Some(25), Some(50)]);
        clock.advance_ms(101);
        assert_eq!(pacing.next_pause(), None);
        clock.advance_ms(-60_000);
        assert_eq!([pacing.next_pause(), pacing.next_pause()], [Some(100), None]);
    }

    /// How many attempts requests make that all fail, one after the other.
    fn attempts_in_vain(clock: &dyn Clock, budget: &RetryBudget, requests: usize) -> usize {
        let (entropy, mut attempts) = (SeededEntropy::new(1), 0);
        for _ in 0..requests {
            let pacing = Pacing::new(clock, &entropy, 10_000).within(budget);
            let outcome = block_on(pacing.repeat("Operation", || {
                attempts += 1;
                async { Err::<(), _>(Failure::refused(503, None, "")) }
            }));
            assert!(outcome.is_err());
        }
        attempts
    }

    /// Sleeps for no time.
    #[derive(Debug)]
    struct StandingClock(ManualClock);

    impl Clock for StandingClock {
        fn now(&self) -> Timestamp {
            self.0.now()
        }

        fn sleep(&self, _: u64) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn a_crowd_of_requests_that_all_fail_makes_no_storm() {
        // All of them in the same moment.
        let clock = StandingClock(ManualClock::default());
        let attempts = attempts_in_vain(&clock, &RetryBudget::default(), 1_000);
        assert!((2_000..=2_100).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_service_that_is_silent_for_long_is_asked_once_for_each_request_until_it_answers() {
        let (clock, budget) = (RestlessClock::default(), RetryBudget::default());
        assert!(attempts_in_vain(&clock, &budget, 1) > 5);
        clock.advance_ms(1_000);
        assert_eq!(attempts_in_vain(&clock, &budget, 10), 10);
        let entropy = SeededEntropy::new(1);
        let answer =
            Pacing::new(&clock, &entropy, 10_000).within(&budget).repeat("Operation", || async { Ok(()) });
        assert!(block_on(answer).is_ok());
        assert!(attempts_in_vain(&clock, &budget, 1) > 5);
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let made = |failures: &[u16]| {
            let (clock, entropy) = (RestlessClock::default(), SeededEntropy::new(1));
            let (mut left, mut attempts) = (failures.iter(), 0);
            let outcome = block_on(Pacing::new(&clock, &entropy, 5_000).repeat("Operation", || {
                attempts += 1;
                let status = left.next();
                async move { status.map_or(Ok(()), |status| Err(Failure::refused(*status, None, ""))) }
            }));
            (outcome.map_err(|failure| failure.status), attempts)
        };
        assert_eq!(made(&[503, 429, 500]), (Ok(()), 4));
        assert_eq!(made(&[503, 403, 500]), (Err(Some(403)), 2));
        let (outcome, attempts) = made(&[500; 50]);
        assert_eq!(outcome, Err(Some(500)));
        assert!((7..30).contains(&attempts), "{attempts}");
    }
}
