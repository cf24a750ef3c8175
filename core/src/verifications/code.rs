//! Codes: derived from random bytes by the server's key, so that neither is a code without the other.
//!
//! The outbox entry that will carry a code to its recipient holds the random bytes; the verification record holds a
//! keyed hash of the code. Neither table tells the code.

use serde::{Deserialize, Serialize};

use crate::auth::mac;
use crate::secret::{Secret, SecretKey};
use base16ct::lower::encode_string as hex;

/// The letters and digits of codes: those that cannot be taken for one another.
pub const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To show that an e-mail address is the user's.
    Email,
    /// To show that a phone number is the user's.
    Phone,
    /// To choose a new password.
    Recovery,
}

impl Purpose {
    /// The purpose's name: the second part of a verification's key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Recovery => "recovery",
        }
    }

    /// How many characters the code has: 32 (158 bits) where it is pasted, 6 (29 bits) where it is typed.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Email => 32,
            Self::Phone | Self::Recovery => 6,
        }
    }

    /// How long the code is valid, in seconds.
    #[must_use]
    pub fn valid_seconds(self) -> i64 {
        match self {
            Self::Email => 24 * 60 * 60,
            Self::Phone | Self::Recovery => 15 * 60,
        }
    }
}

/// The code that a nonce stands for.
#[must_use]
pub fn derive(key: &SecretKey, purpose: Purpose, user_id: &str, nonce: &str) -> Secret {
    let mut code = String::with_capacity(purpose.length());
    for block in 0_u32.. {
        let parts = [b"derive".as_slice(), purpose.name().as_bytes(), user_id.as_bytes(), nonce.as_bytes()];
        let tag = mac::tag(key, &[parts[0], parts[1], parts[2], parts[3], &block.to_be_bytes()]);
        // 248 is the greatest multiple of 31 in a byte: beyond it, characters would not be equally likely.
        let letters = tag.iter().filter(|byte| **byte < 248).map(|byte| usize::from(*byte) % ALPHABET.len());
        for letter in letters {
            if code.len() == purpose.length() {
                return Secret::new(code);
            }
            code.extend(ALPHABET.get(letter).copied().map(char::from));
        }
    }
    Secret::new(code)
}

/// The keyed hash of a code as entered: upper-cased, without spaces and hyphens.
#[must_use]
pub fn hash(key: &SecretKey, purpose: Purpose, user_id: &str, entered: &Secret) -> String {
    let separators = [' ', '-', '\t', '\r', '\n'];
    let typed = entered.expose().chars().filter(|c| !separators.contains(c));
    let normalized = Secret::new(typed.map(|c| c.to_ascii_uppercase()).collect::<String>());
    let parts = [b"hash".as_slice(), purpose.name().as_bytes(), user_id.as_bytes()];
    hex(&mac::tag(key, &[parts[0], parts[1], parts[2], normalized.expose().as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_codes_have_their_length_and_alphabet_and_differ() {
        let key = SecretKey::new([1; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..500 {
            for purpose in [Purpose::Email, Purpose::Recovery] {
                let code = derive(&key, purpose, "U1", &n.to_string());
                assert_eq!(code.expose().len(), purpose.length());
                assert!(code.expose().bytes().all(|byte| ALPHABET.contains(&byte)));
                seen.insert(code.expose().to_owned());
            }
        }
        assert!(seen.len() > 998, "{}", seen.len());
        let letters: std::collections::BTreeSet<_> = seen.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(letters.len(), ALPHABET.len());
    }

    #[test]
    fn c2_a_code_needs_the_key_and_belongs_to_one_user_and_purpose() {
        let key = SecretKey::new([1; 32]);
        let code = derive(&key, Purpose::Recovery, "U1", "n");
        assert_ne!(code, derive(&SecretKey::new([2; 32]), Purpose::Recovery, "U1", "n"));
        assert_ne!(code, derive(&key, Purpose::Phone, "U1", "n"));
        assert_ne!(code, derive(&key, Purpose::Recovery, "U2", "n"));
        let hashed = hash(&key, Purpose::Recovery, "U1", &code);
        assert!(!hashed.contains(code.expose()));
        assert_ne!(hashed, hash(&key, Purpose::Recovery, "U2", &code));
        let (left, right) = code.expose().split_at(3);
        let spoken = Secret::new(format!(" {}-{} ", left.to_lowercase(), right));
        assert_eq!(hashed, hash(&key, Purpose::Recovery, "U1", &spoken));
    }
}
