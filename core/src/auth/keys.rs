//! The RSA keys that sign access tokens, and the server's own secrets derived from them.
//!
//! Parsing, key ids and the published key set stand here; signing is the [`Signer`](crate::ports::signer)
//! port's. No private key leaves this module but as [`PrivateKey`], which does not print.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use pkcs1::der::{Decode, Encode, pem::PemLabel};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::{Secret, SecretKey};

/// The smallest RSA modulus accepted, in bits (RFC 7518, section 3.3).
pub const MIN_RSA_BITS: usize = 2048;

/// Why a key is not usable. Tells nothing of the key's content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Neither PKCS#1 nor PKCS#8 (private), nor PKCS#1 nor SPKI (public).
    #[error("not an RSA key in PEM form (PKCS#1 or PKCS#8): make one with `portico keys generate`")]
    Malformed,
    /// Too few bits.
    #[error("an RSA key of {0} bits is too weak: at least {MIN_RSA_BITS} are needed")]
    TooWeak(usize),
    /// The two halves do not belong together.
    #[error("the public key does not belong to the private key")]
    Mismatch,
}

/// An RSA private key as PKCS#1 DER (RFC 8017, appendix A.1.2).
#[derive(Clone)]
pub struct PrivateKey {
    der: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl PrivateKey {
    /// Reads PKCS#1 (`RSA PRIVATE KEY`) or PKCS#8 (`PRIVATE KEY`).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, document) =
            pkcs8::SecretDocument::from_pem(pem.trim()).map_err(|_| KeyError::Malformed)?;
        let der = match label {
            pkcs1::RsaPrivateKeyRef::PEM_LABEL => document.as_bytes().to_vec(),
            pkcs8::PrivateKeyInfoRef::PEM_LABEL => {
                let info = pkcs8::PrivateKeyInfoRef::from_der(document.as_bytes())
                    .map_err(|_| KeyError::Malformed)?;
                if info.algorithm.oid != pkcs1::ALGORITHM_OID {
                    return Err(KeyError::Malformed);
                }
                info.private_key.as_bytes().to_vec()
            }
            _ => return Err(KeyError::Malformed),
        };
        let der = Zeroizing::new(der);
        let key = pkcs1::RsaPrivateKeyRef::from_der(&der).map_err(|_| KeyError::Malformed)?;
        let public = PublicKey::new(key.modulus.as_bytes(), key.public_exponent.as_bytes())?;
        Ok(Self { der, public })
    }

    /// The key as PKCS#1 DER.
    #[must_use]
    pub fn expose_der(&self) -> &[u8] {
        &self.der
    }

    /// The key as PKCS#8 DER (RFC 5208), which WebCrypto takes.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when it does not encode.
    pub fn expose_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = pkcs1::der::asn1::OctetStringRef::new(&self.der).map_err(|_| KeyError::Malformed)?;
        let info = pkcs8::PrivateKeyInfoRef::new(pkcs1::ALGORITHM_ID, key);
        info.to_der().map(Zeroizing::new).map_err(|_| KeyError::Malformed)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}

/// An RSA public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The JWK thumbprint (RFC 7638), which names the key in token headers.
    pub kid: String,
    /// The modulus, big-endian without leading zeros.
    pub modulus: Vec<u8>,
    /// The public exponent, big-endian without leading zeros.
    pub exponent: Vec<u8>,
}

impl PublicKey {
    /// A key from its numbers, big-endian.
    ///
    /// # Errors
    /// [`KeyError::TooWeak`] below [`MIN_RSA_BITS`]; [`KeyError::Malformed`] for an exponent of zero or one.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = (trim_zeros(modulus), trim_zeros(exponent));
        let bits = modulus.first().map_or(0, |top| modulus.len() * 8 - top.leading_zeros() as usize);
        if exponent.is_empty() || exponent == [1] {
            return Err(KeyError::Malformed);
        }
        if bits < MIN_RSA_BITS {
            return Err(KeyError::TooWeak(bits));
        }
        let kid = thumbprint(modulus, exponent);
        Ok(Self { kid, modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Reads SPKI (`PUBLIC KEY`) or PKCS#1 (`RSA PUBLIC KEY`).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, document) = pkcs8::Document::from_pem(pem.trim()).map_err(|_| KeyError::Malformed)?;
        let der = match label {
            pkcs1::RsaPublicKeyRef::PEM_LABEL => document.as_bytes().to_vec(),
            "PUBLIC KEY" => {
                let spki = pkcs8::SubjectPublicKeyInfoRef::from_der(document.as_bytes())
                    .map_err(|_| KeyError::Malformed)?;
                if spki.algorithm.oid != pkcs1::ALGORITHM_OID {
                    return Err(KeyError::Malformed);
                }
                spki.subject_public_key.raw_bytes().to_vec()
            }
            _ => return Err(KeyError::Malformed),
        };
        let key = pkcs1::RsaPublicKeyRef::from_der(&der).map_err(|_| KeyError::Malformed)?;
        Self::new(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// Reads one or more keys, whatever stands around them.
    ///
    /// # Errors
    /// [`KeyError`] if there is none, or one of them is not usable.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let blocks = text.split("-----BEGIN ").skip(1);
        let keys: Vec<_> = blocks
            .map(|block| Self::from_pem(&format!("-----BEGIN {}", block.trim_end())))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(KeyError::Malformed) } else { Ok(keys) }
    }

    /// The key as PKCS#1 DER (RFC 8017, appendix A.1.1), which signature libraries take.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the numbers do not encode.
    pub fn to_der(&self) -> Result<Vec<u8>, KeyError> {
        let number = |bytes| pkcs1::UintRef::new(bytes).map_err(|_| KeyError::Malformed);
        pkcs1::RsaPublicKey { modulus: number(&self.modulus)?, public_exponent: number(&self.exponent)? }
            .to_der()
            .map_err(|_| KeyError::Malformed)
    }

    /// The key as published in the key set (RFC 7517, RFC 7518 section 6.3.1).
    #[must_use]
    pub fn to_jwk(&self) -> Jwk {
        Jwk {
            kty: "RSA",
            r#use: "sig",
            alg: "RS256",
            kid: self.kid.clone(),
            n: URL_SAFE_NO_PAD.encode(&self.modulus),
            e: URL_SAFE_NO_PAD.encode(&self.exponent),
        }
    }
}

/// A key of the published key set.
#[derive(Clone, Debug, Serialize)]
pub struct Jwk {
    kty: &'static str,
    r#use: &'static str,
    alg: &'static str,
    kid: String,
    n: String,
    e: String,
}

/// The keys that access tokens are signed and verified with.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// Signs.
    pub private: PrivateKey,
    /// Still verify: tokens that an earlier key signed outlive a rotation.
    pub previous: Vec<PublicKey>,
}

impl SigningKeys {
    /// Every key that verifies, the present one first.
    pub fn all(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(self.private.public()).chain(&self.previous)
    }

    /// The key of an id.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.all().find(|key| key.kid == kid)
    }
}

/// The server's own keys, one for each use, so that nothing made for one is valid for another.
#[derive(Clone, Debug)]
pub struct ServerKeys {
    /// Authenticates refresh tokens.
    pub refresh: SecretKey,
    /// Derives and hashes verification codes.
    pub codes: SecretKey,
    /// Authenticates page cursors.
    pub cursors: SecretKey,
    /// Hides names and addresses in the keys of counters.
    pub counters: SecretKey,
    /// Seals answers that are kept to be given again.
    pub answers: SecretKey,
    /// Signs the URLs of blobs that the host serves itself.
    pub blobs: SecretKey,
}

impl ServerKeys {
    /// Derives the keys from the configured secret or else the private key.
    #[must_use]
    pub fn derive(configured: Option<&Secret>, private: &PrivateKey) -> Self {
        let material = configured.map_or(private.expose_der(), |secret| secret.expose().as_bytes());
        let subkey = |name| subkey(material, name);
        Self {
            refresh: subkey("refresh"),
            codes: subkey("codes"),
            cursors: subkey("cursors"),
            counters: subkey("counters"),
            answers: subkey("answers"),
            blobs: subkey("blobs"),
        }
    }
}

/// A key for one use, derived from secret material by HKDF-SHA-256 (RFC 5869).
#[must_use]
pub fn subkey(material: &[u8], name: &str) -> SecretKey {
    let mut key = [0; 32];
    // HKDF-SHA-256 expands to up to 255 × 32 bytes; 32 cannot fail.
    let expanded =
        Hkdf::<Sha256>::new(Some(b"portico/server-keys/1"), material).expand(name.as_bytes(), &mut key);
    debug_assert!(expanded.is_ok());
    SecretKey::new(key)
}

/// The JWK thumbprint (RFC 7638, section 3) of an RSA key.
fn thumbprint(modulus: &[u8], exponent: &[u8]) -> String {
    let canonical = format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(exponent),
        URL_SAFE_NO_PAD.encode(modulus)
    );
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
