//! Rate limiting per source.

use std::fmt;

use async_trait::async_trait;

/// Limits how often a source may do something.
#[async_trait]
pub trait Limiter: fmt::Debug + Send + Sync + 'static {
    /// Takes one permit of the source `key` (a client address, IPv6 already cut to its /64).
    async fn check(&self, key: &str) -> RateDecision;
}

/// What a [`Limiter`] decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateDecision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Permits left at this moment, where the limiter can tell.
    pub remaining: Option<u32>,
    /// Seconds until a permit is there again; 0 while some remain.
    pub reset_seconds: u64,
}
