//! RS256 by aws-lc, with keys prepared once.
//!
//! Preparing takes twice as long as signing (the key is checked), so that libraries which take a key's bytes
//! with every call would triple the cost of a refresh.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use portico_core::auth::keys::{PrivateKey, PublicKey, SigningKeys};
use portico_core::ports::signer::{Signer, SignerError};

/// Signs with one key; verifies with any, fastest with its own.
pub struct AwsLcSigner {
    private: RsaKeyPair,
    prepared: Vec<(PublicKey, ParsedPublicKey)>,
    random: SystemRandom,
}

impl AwsLcSigner {
    /// Prepares the keys.
    ///
    /// # Errors
    /// [`SignerError`] when a key's numbers do not make an RSA key of 2048 to 8192 bits.
    pub fn new(keys: &SigningKeys) -> Result<Self, SignerError> {
        let own = std::iter::once(keys.private.public()).chain(&keys.previous);
        Ok(Self {
            private: prepare_private(&keys.private)?,
            prepared: own.map(prepare_public).collect::<Result<_, _>>()?,
            random: SystemRandom::new(),
        })
    }
}

fn prepare_private(key: &PrivateKey) -> Result<RsaKeyPair, SignerError> {
    RsaKeyPair::from_der(key.expose_der())
        .map_err(|error| SignerError(format!("the private key is not usable: {error}")))
}

fn prepare_public(key: &PublicKey) -> Result<(PublicKey, ParsedPublicKey), SignerError> {
    let unusable = |reason: &dyn fmt::Display| {
        SignerError(format!("the public key {} is not usable: {reason}", key.kid))
    };
    let der = key.to_der().map_err(|error| unusable(&error))?;
    let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|error| unusable(&error))?;
    Ok((key.clone(), parsed))
}

#[async_trait]
impl Signer for AwsLcSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let mut signature = vec![0; self.private.public_modulus_len()];
        self.private
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .map_err(|_| SignerError("the signature could not be made".to_owned()))?;
        Ok(signature)
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        if let Some((_, prepared)) = self.prepared.iter().find(|(known, _)| known == key) {
            return Ok(prepared.verify_sig(message, signature).is_ok());
        }
        let components = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
        Ok(components.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
    }
}

impl fmt::Debug for AwsLcSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<_> = self.prepared.iter().map(|(key, _)| &key.kid).collect();
        f.debug_struct("AwsLcSigner").field("kids", &kids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::generate;

    #[tokio::test]
    async fn a_signature_verifies_with_its_key_alone() {
        let keys = |private: PrivateKey| SigningKeys { private, previous: Vec::new() };
        let own = PrivateKey::from_pem(&generate(2048).unwrap().private).unwrap();
        let foreign = PrivateKey::from_pem(&generate(2048).unwrap().private).unwrap();
        let signer = AwsLcSigner::new(&keys(own.clone())).unwrap();
        let signature = signer.sign(b"message").await.unwrap();
        assert!(signer.verify(own.public(), b"message", &signature).await.unwrap());
        assert!(!signer.verify(own.public(), b"another", &signature).await.unwrap());
        assert!(!signer.verify(foreign.public(), b"message", &signature).await.unwrap());
        for malformed in [&b""[..], &signature[1..], &[0; 256], &[0xff; 4096]] {
            assert!(!signer.verify(own.public(), b"message", malformed).await.unwrap());
        }
        let other = AwsLcSigner::new(&keys(foreign)).unwrap();
        assert!(other.verify(own.public(), b"message", &signature).await.unwrap());
    }
}
