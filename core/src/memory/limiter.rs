//! A token bucket per source, by the injected clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::config::RateLimit;
use crate::ports::clock::Clock;
use crate::ports::limiter::{Limiter, RateDecision};

/// The model of a limiter: exact, and never forgets a source.
#[derive(Debug)]
pub struct MemoryLimiter {
    limit: RateLimit,
    clock: Arc<dyn Clock>,
    /// Permits left, in thousandths, and when they were counted.
    buckets: Mutex<HashMap<String, (i64, i64)>>,
}

impl MemoryLimiter {
    /// A limiter with full buckets.
    #[must_use]
    pub fn new(limit: RateLimit, clock: Arc<dyn Clock>) -> Self {
        Self { limit, clock, buckets: Mutex::default() }
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn check(&self, key: &str) -> RateDecision {
        let now = self.clock.now().as_millis();
        let (full, rate) = (i64::from(self.limit.burst) * 1000, i64::from(self.limit.per_second));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, counted_at) = buckets.entry(key.to_owned()).or_insert((full, now));
        // A permit is 1000 thousandths, and `rate` permits a second are `rate` thousandths a millisecond.
        *left = (*left + (now - *counted_at).max(0).saturating_mul(rate)).min(full);
        *counted_at = now;
        let allowed = *left >= 1000;
        if allowed {
            *left -= 1000;
        }
        let missing = (1000 - *left).max(0).unsigned_abs();
        let reset_seconds = missing.div_ceil(rate.unsigned_abs().max(1)).div_ceil(1000);
        RateDecision { allowed, remaining: u32::try_from(*left / 1000).unwrap_or(0), reset_seconds }
    }
}
