//! What several of these tests use.

use std::sync::Arc;

use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::ports::clock::Clock;

/// A number from the environment, or the usual one.
pub fn number(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => usual,
    }
}

/// The system's time, as the server that wrote what is read here went by it.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(portico::clock::SystemClock.now()))
}

pub fn entropy() -> Arc<SeededEntropy> {
    Arc::new(SeededEntropy::new(7))
}
