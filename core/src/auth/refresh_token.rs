//! Refresh tokens: derived, not stored.
//!
//! `<session_id>.<user_id>.<counter>.<tag>`, where the tag is an HMAC under the server's key over the session's own
//! random bytes and the counter. Neither the table alone nor the key alone makes a token. The session keeps the
//! counter of the present token; what an older one means is `sessions::refresh`'s to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::mac;
use crate::secret::{Secret, SecretKey};
use crate::text::is_id;

/// A refresh token taken apart; not yet believed.
#[derive(Debug)]
pub struct RefreshToken {
    /// The session it claims to belong to.
    pub session_id: String,
    /// The user it claims to belong to.
    pub user_id: String,
    /// Which of the session's tokens it claims to be.
    pub counter: u64,
    tag: Vec<u8>,
}

impl RefreshToken {
    /// Takes a token apart; `None` for what has not its form.
    #[must_use]
    pub fn parse(token: &Secret) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (session_id, user_id) = (parts.next()?, parts.next()?);
        let (counter, tag) = (parts.next()?, parts.next()?);
        let is_counter = (1..=19).contains(&counter.len()) && counter.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !is_id(session_id) || !is_id(user_id) || !is_counter {
            return None;
        }
        Some(Self {
            session_id: session_id.to_owned(),
            user_id: user_id.to_owned(),
            counter: counter.parse().ok()?,
            tag: URL_SAFE_NO_PAD.decode(tag).ok()?,
        })
    }

    /// Whether the server made this token for the session with these random bytes.
    #[must_use]
    pub fn is_genuine(&self, key: &SecretKey, random: &[u8]) -> bool {
        mac::equal(&tag(key, &self.session_id, &self.user_id, self.counter, random), &self.tag)
    }
}

/// Makes the token of a session's counter.
#[must_use]
pub fn derive(key: &SecretKey, session_id: &str, user_id: &str, counter: u64, random: &[u8]) -> Secret {
    let tag = URL_SAFE_NO_PAD.encode(tag(key, session_id, user_id, counter, random));
    Secret::new(format!("{session_id}.{user_id}.{counter}.{tag}"))
}

fn tag(key: &SecretKey, session_id: &str, user_id: &str, counter: u64, random: &[u8]) -> [u8; 32] {
    mac::tag(key, &[session_id.as_bytes(), user_id.as_bytes(), &counter.to_be_bytes(), random])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_token_is_genuine_only_with_the_key_and_the_sessions_bytes() {
        let key = SecretKey::new([1; 32]);
        let token = derive(&key, "S1", "U1", 7, &[9; 32]);
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.session_id.as_str(), parsed.user_id.as_str(), parsed.counter), ("S1", "U1", 7));
        assert!(parsed.is_genuine(&key, &[9; 32]));
        assert!(!parsed.is_genuine(&SecretKey::new([2; 32]), &[9; 32]));
        assert!(!parsed.is_genuine(&key, &[8; 32]));
        for altered in ["S2.U1.7", "S1.U2.7", "S1.U1.8"] {
            let tag = token.expose().rsplit_once('.').unwrap().1;
            let forged = RefreshToken::parse(&Secret::new(format!("{altered}.{tag}"))).unwrap();
            assert!(!forged.is_genuine(&key, &[9; 32]), "{altered}");
        }
    }

    #[test]
    fn what_has_not_the_form_is_no_token() {
        for text in [
            "",
            "...",
            "a.b.c.d",
            "a.b.1",
            "a.b.1.x.y",
            "a.b.-1.aa",
            "a.b.99999999999999999999.aa",
            "a#b.c.1.aa",
        ] {
            assert!(RefreshToken::parse(&Secret::new(text)).is_none(), "{text}");
        }
    }
}
