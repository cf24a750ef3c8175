//! What is sealed at rest: XChaCha20-Poly1305 under a key of the server's own, with a random nonce, as text.
//!
//! What is sealed is bound to the id of the record that holds it: in another record it does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::secret::SecretKey;

/// The length of a nonce, which must be random.
pub const NONCE_BYTES: usize = 24;

/// Seals a text for the record of an id; a third longer, and 40 bytes more.
#[must_use]
pub fn seal(key: &SecretKey, nonce: [u8; NONCE_BYTES], id: &str, plain: &[u8]) -> Option<String> {
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plain, aad: id.as_bytes() }).ok()?;
    Some(STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what was sealed for the record of an id; `None` if it was sealed under another key, for another record, or
/// altered.
#[must_use]
pub fn open(key: &SecretKey, id: &str, sealed: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    cipher.decrypt(&(*nonce).into(), Payload { msg: sealed, aad: id.as_bytes() }).ok()
}
