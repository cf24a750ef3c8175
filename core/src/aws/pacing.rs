//! When to ask a service again: after random pauses that double, until a deadline.

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
    start: Timestamp,
    slept_ms: u64,
    failed: u32,
}

impl<'ports> Pacing<'ports> {
    /// Attempts of which the first begins now, and the last before the deadline.
    pub fn new(clock: &'ports dyn Clock, entropy: &'ports dyn Entropy, deadline_ms: u64) -> Self {
        Self { clock, entropy, deadline_ms, start: clock.now(), slept_ms: 0, failed: 0 }
    }

    /// How many milliseconds to wait after an attempt that failed; `None` when there is no time left for another.
    ///
    /// # Behavior
    /// A clock that goes back does not prolong the deadline: the pauses count for themselves.
    pub fn next_pause(&mut self) -> Option<u64> {
        let pause = self.pause();
        if self.elapsed().max(self.slept_ms) + pause > self.deadline_ms {
            return None;
        }
        self.slept_ms += pause;
        self.failed += 1;
        Some(pause)
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
    use super::*;
    use crate::{
        memory::{clock::ManualClock, entropy::SeededEntropy},
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
}
