//! HMAC-SHA-256 over parts that cannot run into one another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::secret::SecretKey;

/// The tag of a sequence of parts; each is preceded by its length, so that no two sequences are alike.
#[must_use]
pub fn tag(key: &SecretKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut padded = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (slot, byte) in padded.iter_mut().zip(key.expose()) {
        *slot = *byte;
    }
    // A key shorter than a block is padded with zeros (RFC 2104, section 2).
    let mut mac = Hmac::<Sha256>::new(&padded);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two tags are equal, in a time that does not tell where they differ.
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
