//! Work that goes on after the answer.

use std::fmt;

use futures::future::BoxFuture;

/// Runs futures beyond the request that made them.
pub trait Background: fmt::Debug + Send + Sync + 'static {
    /// Runs the future to its end, soon. What must not be lost is in the outbox besides.
    fn spawn(&self, work: BoxFuture<'static, ()>);
}
