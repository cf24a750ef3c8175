//! RS256 signatures: bytes in, signature out. The token's form and every check stand in `auth::access_token`.

use std::fmt;

use async_trait::async_trait;

use crate::auth::keys::PublicKey;

/// Signs and verifies with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 7518, section 3.3).
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// Signs with the private key.
    ///
    /// # Errors
    /// [`SignerError`] when the platform refuses.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;

    /// Tells whether `signature` is `key`'s over `message`. A malformed signature is simply not one.
    ///
    /// # Errors
    /// [`SignerError`] when the platform cannot tell; callers refuse the token.
    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError>;
}

/// The platform could not sign or verify.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(pub String);
