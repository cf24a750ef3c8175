//! `crypto.getRandomValues`.

use portico_core::ports::entropy::{Entropy, EntropyError};

/// The runtime's random bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CryptoEntropy;

impl Entropy for CryptoEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError(error.to_string()))
    }
}
