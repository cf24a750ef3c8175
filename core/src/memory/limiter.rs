//! A token bucket per source, by the injected clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::config::RateLimit;
use crate::ports::clock::Clock;
use crate::ports::limiter::{Limiter, RateDecision};
use crate::rate_limit::Bucket;

/// The model of a limiter: exact, and never forgets a source.
#[derive(Debug)]
pub struct MemoryLimiter {
    limit: RateLimit,
    clock: Arc<dyn Clock>,
    buckets: Mutex<HashMap<String, Bucket>>,
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
        let now = self.clock.now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.to_owned()).or_insert_with(|| Bucket::full(self.limit, now));
        let decision;
        (*bucket, decision) = bucket.take(self.limit, now);
        decision
    }
}
