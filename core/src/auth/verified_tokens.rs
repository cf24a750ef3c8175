//! Access tokens whose signatures were verified, so that a token sent with each request is verified once
//! (`ACCESS_TOKEN_CACHE`).
//!
//! Only that the signature is right is remembered, by the whole token's SHA-256: another token of the same digest would
//! be a collision. What changes with time or in the store, the claims and the session, is looked at each time.

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

/// Tokens verified with keys that stay as they are. With room for none it remembers nothing.
#[derive(Debug)]
pub struct VerifiedTokens(Option<Cache<[u8; 32], ()>>);

impl VerifiedTokens {
    /// Remembers so many tokens at most.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self((capacity > 0).then(|| Cache::new(capacity)))
    }

    /// Whether this very token, its signature included, was verified.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.0.as_ref().is_some_and(|tokens| tokens.get(&digest(token)).is_some())
    }

    /// Remembers a token whose signature was found right.
    pub fn insert(&self, token: &str) {
        if let Some(tokens) = &self.0 {
            tokens.insert(digest(token), ());
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
