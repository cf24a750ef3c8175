//! Tokens, passwords, keys, and the rules of access. Sessions themselves are in [`crate::sessions`].

pub mod access;
pub mod access_token;
pub mod google;
pub mod keys;
pub mod mac;
pub mod password;
pub mod refresh_token;
pub mod seal;
pub mod verified_tokens;
