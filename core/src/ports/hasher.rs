//! Password hashing: the work is stated in core ([`HashWork`]), the port decides where it runs.

use std::fmt;

use async_trait::async_trait;

use crate::auth::password::{HashOutcome, HashWork};

/// Runs password hashing where it does not hold up other requests.
#[async_trait]
pub trait Hasher: fmt::Debug + Send + Sync + 'static {
    /// Runs [`HashWork::run`].
    ///
    /// # Errors
    /// [`Busy`] when too much work is queued already; the client is asked to come back.
    async fn run(&self, work: HashWork) -> Result<HashOutcome, Busy>;
}

/// Too much hashing is queued.
#[derive(Debug, thiserror::Error)]
#[error("the password hashing queue is full")]
pub struct Busy {
    /// When to try again.
    pub retry_after_seconds: u64,
}
