//! Randomness, from outside.

use std::fmt;

/// A cryptographically secure source of random bytes.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills the buffer.
    ///
    /// # Errors
    /// When the platform cannot supply randomness; callers refuse the request.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The platform supplied no randomness.
#[derive(Debug, thiserror::Error)]
#[error("no randomness: {0}")]
pub struct EntropyError(pub String);
