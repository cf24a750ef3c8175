//! Signing without arithmetic: keys of the right form that nobody could sign with, and a signer that does not need to.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_core::auth::keys::{PrivateKey, PublicKey, SigningKeys};
use portico_core::ports::signer::{Signer, SignerError};
use sha2::{Digest, Sha256};

/// Keys that are what they must be to be read; the numbers mean nothing.
#[must_use]
pub fn signing_keys() -> SigningKeys {
    let (one, modulus) = (der(2, &[1]), der(2, &[&[0][..], &[0xc5; 256]].concat()));
    // RFC 8017, appendix A.1.2: version, modulus, public exponent, and six numbers of the private half.
    let numbers = [der(2, &[0]), modulus, der(2, &[1, 0, 1])].into_iter().chain(std::iter::repeat_n(one, 6));
    let key = STANDARD.encode(der(0x30, &numbers.collect::<Vec<_>>().concat()));
    let lines: Vec<&str> = (0..key.len()).step_by(64).map(|at| &key[at..key.len().min(at + 64)]).collect();
    let label = "RSA PRIVATE KEY";
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    SigningKeys {
        private: PrivateKey::from_pem(&pem).expect("a key of the right form"),
        previous: Vec::new(),
    }
}

/// A value in DER (X.690): tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short value").to_be_bytes();
    let head = if content.len() < 128 { vec![tag, length[1]] } else { vec![tag, 0x82, length[0], length[1]] };
    [&head, content].concat()
}

/// Signs by a hash of the key's id and the message.
#[derive(Clone, Debug)]
pub struct HashSigner {
    kid: String,
    /// Takes every signature for good, so that what is signed is read.
    believes: bool,
}

impl HashSigner {
    /// A signer with these keys.
    #[must_use]
    pub fn new(keys: &SigningKeys, believes: bool) -> Self {
        Self { kid: keys.private.public().kid.clone(), believes }
    }
}

fn signature(kid: &str, message: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(kid).chain_update([0]).chain_update(message).finalize().to_vec()
}

#[async_trait]
impl Signer for HashSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(signature(&self.kid, message))
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], given: &[u8]) -> Result<bool, SignerError> {
        Ok(self.believes || signature(&key.kid, message) == given)
    }
}
