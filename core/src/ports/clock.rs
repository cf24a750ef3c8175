//! The time, from outside.

use std::fmt;

use futures::future::BoxFuture;

use crate::time::Timestamp;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant. May step, in either direction; nothing may rely on its being monotonic.
    fn now(&self) -> Timestamp;

    /// Completes after so many milliseconds.
    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()>;
}
