//! Rate limits per source, in this process's memory.
//!
//! A source is remembered only until its bucket is full again, so that memory is bounded by the requests of
//! the last few seconds.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use portico_core::config::RateLimit;
use portico_core::ports::limiter::{Limiter, RateDecision};

/// Checks between two sweeps of forgotten sources, at least.
const SWEEP_AFTER: usize = 1024;

type Buckets<C> = RateLimiter<String, DashMapStateStore<String>, C, StateInformationMiddleware>;

/// A token bucket for each source (GCRA).
pub struct MemoryLimiter<C: Clock = DefaultClock> {
    buckets: Buckets<C>,
    clock: C,
    until_sweep: AtomicUsize,
}

impl MemoryLimiter {
    /// Limits every source alike.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<C: Clock + Clone> MemoryLimiter<C> {
    fn with_clock(limit: RateLimit, clock: C) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(limit.per_second)).allow_burst(at_least_one(limit.burst));
        Self {
            buckets: RateLimiter::dashmap_with_clock(quota, clock.clone()).with_middleware(),
            clock,
            until_sweep: AtomicUsize::new(SWEEP_AFTER),
        }
    }

    fn decide(&self, key: &str) -> RateDecision {
        match self.buckets.check_key(&key.to_owned()) {
            Ok(state) => RateDecision {
                allowed: true,
                remaining: Some(state.remaining_burst_capacity()),
                reset_seconds: u64::from(state.remaining_burst_capacity() == 0),
            },
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                let reset_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                RateDecision { allowed: false, remaining: Some(0), reset_seconds: reset_seconds.max(1) }
            }
        }
    }

    /// Forgets sources whose buckets are full, once as many checks have passed as were left the last time:
    /// each check pays for a constant share.
    fn sweep_in_time(&self) {
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
            self.until_sweep.store(self.buckets.len() + SWEEP_AFTER, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl<C> Limiter for MemoryLimiter<C>
where
    C: Clock + Clone + fmt::Debug + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    async fn check(&self, key: &str) -> RateDecision {
        let decision = self.decide(key);
        self.sweep_in_time();
        decision
    }
}

impl<C: Clock> fmt::Debug for MemoryLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    const LIMIT: RateLimit = RateLimit { per_second: 5, burst: 10 };

    #[tokio::test]
    async fn a_burst_is_allowed_then_refused_then_refilled_per_source() {
        let clock = FakeRelativeClock::default();
        let limiter = MemoryLimiter::with_clock(LIMIT, clock.clone());
        for remaining in (0..10).rev() {
            let decision = limiter.check("192.0.2.1").await;
            assert_eq!((decision.allowed, decision.remaining), (true, Some(remaining)));
        }
        let refused = limiter.check("192.0.2.1").await;
        assert_eq!(refused, RateDecision { allowed: false, remaining: Some(0), reset_seconds: 1 });
        assert!(limiter.check("192.0.2.2").await.allowed);
        clock.advance(Duration::from_millis(200));
        assert!(limiter.check("192.0.2.1").await.allowed);
        assert!(!limiter.check("192.0.2.1").await.allowed);
    }

    #[tokio::test]
    async fn sources_are_forgotten_when_their_buckets_are_full() {
        let clock = FakeRelativeClock::default();
        let limiter = MemoryLimiter::with_clock(LIMIT, clock.clone());
        for source in 0..100_000 {
            limiter.check(&source.to_string()).await;
            clock.advance(Duration::from_millis(1));
        }
        assert!(limiter.buckets.len() < 2 * SWEEP_AFTER, "{}", limiter.buckets.len());
    }
}
