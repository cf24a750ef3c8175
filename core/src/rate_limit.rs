//! Token buckets, and the limiter that keeps them in the store, for hosts of many instances that share nothing else.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};

use crate::auth::mac;
use crate::config::RateLimit;
use crate::ports::clock::Clock;
use crate::ports::limiter::{Limiter, RateDecision};
use crate::ports::store::{Condition, Key, Store, StoreError};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::COUNTERS;
use crate::secret::SecretKey;
use crate::time::Timestamp;

/// How often a bucket is tried that others of the same source keep changing.
const TRIES: usize = 4;

/// The permits of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Permits left, in thousandths.
    left: i64,
    /// When they were counted, in milliseconds since 1970.
    counted_at: i64,
}

impl Bucket {
    /// A bucket that nothing was taken from.
    #[must_use]
    pub fn full(limit: RateLimit, now: Timestamp) -> Self {
        Self { left: capacity(limit), counted_at: now.as_millis() }
    }

    /// Takes a permit if there is one, and tells what is left. A clock that goes back gives none back.
    #[must_use]
    pub fn take(self, limit: RateLimit, now: Timestamp) -> (Self, RateDecision) {
        let rate = i64::from(limit.per_second.max(1));
        let passed = now.as_millis().saturating_sub(self.counted_at).max(0);
        // A permit is 1000 thousandths, and `rate` permits a second are `rate` thousandths a millisecond.
        let refilled = self.left.saturating_add(passed.saturating_mul(rate)).min(capacity(limit));
        let allowed = refilled >= 1000;
        let left = if allowed { refilled - 1000 } else { refilled };
        let missing = (1000 - left).max(0).unsigned_abs();
        let decision = RateDecision {
            allowed,
            remaining: u32::try_from(left / 1000).ok(),
            reset_seconds: missing.div_ceil(rate.unsigned_abs()).div_ceil(1000),
        };
        // Instances differ a little; what is further ahead would keep it empty until the clock is there again.
        let ahead = Timestamp::from_millis(self.counted_at).is_ahead(now);
        let counted_at = if ahead { now.as_millis() } else { now.as_millis().max(self.counted_at) };
        (Self { left, counted_at }, decision)
    }

    /// In how many seconds the bucket is full again, and need not be remembered.
    fn seconds_to_full(self, limit: RateLimit) -> i64 {
        let missing = capacity(limit) - self.left;
        missing / (i64::from(limit.per_second.max(1)) * 1000) + 1
    }
}

fn capacity(limit: RateLimit) -> i64 {
    i64::from(limit.burst.max(1)) * 1000
}

/// Counts in the store: two calls for each permit, one for each refusal.
///
/// # Behavior
/// Refuses when the store does not answer, or when a source makes so many requests at once that they are in each
/// other's way: what is limited needs the store anyway.
pub struct StoreLimiter {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    limit: RateLimit,
    /// Hides the sources' addresses.
    key: SecretKey,
}

/// A bucket as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    counter_id: String,
    bucket: Bucket,
    expires_at: i64,
}

impl StoreLimiter {
    /// Limits every source alike.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, limit: RateLimit, key: SecretKey) -> Self {
        Self { store, clock, limit, key }
    }

    async fn take(&self, source: &str) -> Result<RateDecision, StoreError> {
        let tag = mac::tag(&self.key, &[b"rate", source.as_bytes()]);
        let key = Key::new(&COUNTERS, format!("rate#{}", hex(&tag[..16])));
        for _ in 0..TRIES {
            let stored = self.store.find::<Record>(&key).await?;
            let now = self.clock.now();
            let bucket = stored.as_ref().map_or(Bucket::full(self.limit, now), |stored| stored.value.bucket);
            let (bucket, decision) = bucket.take(self.limit, now);
            if !decision.allowed {
                return Ok(decision);
            }
            let expires_at = now.plus_seconds(bucket.seconds_to_full(self.limit)).as_seconds();
            let record = Record { counter_id: key.hash.clone(), bucket, expires_at };
            let when = stored.as_ref().map_or(Condition::Absent, Stored::unchanged);
            match self.store.write(put(key.clone(), &record, when)?).await {
                Ok(()) => return Ok(decision),
                Err(error) if error.conflicting_write().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(REFUSED)
    }
}

const REFUSED: RateDecision = RateDecision { allowed: false, remaining: Some(0), reset_seconds: 1 };

#[async_trait]
impl Limiter for StoreLimiter {
    async fn check(&self, key: &str) -> RateDecision {
        self.take(key).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "requests cannot be counted: they are refused");
            REFUSED
        })
    }
}

impl fmt::Debug for StoreLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLimiter").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::join_all;

    use super::*;
    use crate::memory::clock::ManualClock;
    use crate::memory::entropy::SeededEntropy;
    use crate::memory::store::MemoryStore;

    const LIMIT: RateLimit = RateLimit { per_second: 5, burst: 10 };

    fn limiter() -> (StoreLimiter, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let store = Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(1))));
        (StoreLimiter::new(store, clock.clone(), LIMIT, SecretKey::new([7; 32])), clock)
    }

    #[test]
    fn a_burst_is_allowed_then_refused_then_refilled_per_source() {
        let (limiter, clock) = limiter();
        for remaining in (0..10).rev() {
            let decision = block_on(limiter.check("192.0.2.1"));
            assert_eq!((decision.allowed, decision.remaining), (true, Some(remaining)));
        }
        assert_eq!(block_on(limiter.check("192.0.2.1")), REFUSED);
        assert!(block_on(limiter.check("192.0.2.2")).allowed);
        clock.advance_ms(200);
        assert!(block_on(limiter.check("192.0.2.1")).allowed);
        assert!(!block_on(limiter.check("192.0.2.1")).allowed);
        clock.advance_ms(60_000);
        assert_eq!(block_on(limiter.check("192.0.2.1")).remaining, Some(9));
    }

    #[test]
    fn of_many_at_once_no_more_are_allowed_than_there_are_permits() {
        let (limiter, _) = limiter();
        let decisions = block_on(join_all((0..40).map(|_| limiter.check("192.0.2.1"))));
        assert_eq!(decisions.iter().filter(|decision| decision.allowed).count(), 10);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_gives_nothing_back() {
        let now = Timestamp::from_millis(1_000_000);
        let (bucket, decision) = empty(now).take(LIMIT, now.plus_seconds(-60));
        assert!(!decision.allowed);
        assert!(!bucket.take(LIMIT, now).1.allowed);
    }

    #[test]
    fn a_clock_that_was_far_ahead_keeps_it_empty_no_longer_than_usual() {
        let now = Timestamp::from_millis(1_000_000);
        let (bucket, decision) = empty(now.plus_seconds(365 * 24 * 60 * 60)).take(LIMIT, now);
        assert!(!decision.allowed);
        assert!(bucket.take(LIMIT, now.plus_seconds(1)).1.allowed);
    }

    fn empty(now: Timestamp) -> Bucket {
        (0..10).fold(Bucket::full(LIMIT, now), |bucket, _| bucket.take(LIMIT, now).0)
    }
}
