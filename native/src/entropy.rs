//! The system's randomness.

use portico_core::ports::entropy::{Entropy, EntropyError};

/// Draws from the system's generator (`getrandom(2)` and its like).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError(error.to_string()))
    }
}
