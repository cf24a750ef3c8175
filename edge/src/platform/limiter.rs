//! Rate limits by the platform's own binding, which counts at each location and costs no call to the store.

use async_trait::async_trait;
use portico_core::config::RateLimit;
use portico_core::ports::limiter::{Limiter, RateDecision};
use worker::RateLimiter;

/// The binding that is used if there is one.
pub(super) const BINDING: &str = "RATE_LIMITER";

/// Asks the binding.
#[derive(Debug)]
pub(super) struct BindingLimiter {
    binding: RateLimiter,
    limit: RateLimit,
}

impl BindingLimiter {
    /// Asks this binding; when to come back is told by the limit that it is set to.
    pub(super) fn new(binding: RateLimiter, limit: RateLimit) -> Self {
        Self { binding, limit }
    }
}

#[async_trait]
impl Limiter for BindingLimiter {
    async fn check(&self, key: &str) -> RateDecision {
        let allowed = match self.binding.limit(key.to_owned()).await {
            Ok(outcome) => outcome.success,
            Err(error) => {
                tracing::warn!(%error, "requests cannot be counted: they are refused");
                false
            }
        };
        let window = u64::from(self.limit.burst.div_ceil(self.limit.per_second.max(1)).max(1));
        // The binding does not tell how many are left.
        RateDecision { allowed, remaining: None, reset_seconds: if allowed { 0 } else { window } }
    }
}
