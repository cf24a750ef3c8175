//! Bytes that look random and repeat with the seed. For tests and simulations, never for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::ports::entropy::{Entropy, EntropyError};

/// Deterministic entropy: SHA-256 over the seed and a counter.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    blocks: AtomicU64,
}

impl SeededEntropy {
    /// The stream of bytes that a seed stands for.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, blocks: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::Relaxed);
            let digest = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(block.to_be_bytes())
                .finalize();
            for (byte, random) in chunk.iter_mut().zip(digest) {
                *byte = random;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(entropy: &SeededEntropy) -> [u8; 40] {
        let mut bytes = [0; 40];
        entropy.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_seed_repeats_and_its_stream_does_not() {
        let (one, same, other) = (SeededEntropy::new(1), SeededEntropy::new(1), SeededEntropy::new(2));
        let first = bytes(&one);
        assert_eq!(first, bytes(&same));
        assert_ne!(first, bytes(&other));
        assert_ne!(first, bytes(&one));
        assert_ne!(first[..8], first[32..]);
    }
}
