//! Google's ID tokens: is this one theirs, meant for us, in force, and of a proven address?
//!
//! By OpenID Connect Core, section 3.1.3.7, and Google's own rules. What follows from it for accounts is in
//! `sessions::google`.

mod keys;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::access_token::{Audience, Header, Parts, decode, split};
use super::keys::PublicKey;
use crate::App;
use crate::error::Error;
use crate::secret::Secret;
use crate::text::Email;
use crate::time::{MAX_SKEW_SECONDS, Timestamp};

pub use keys::GoogleKeys;

/// The names under which Google issues.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Whom Google says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleIdentity {
    /// Google's id of the user, which never changes.
    pub sub: String,
    /// Their address, which Google has verified.
    pub email: Email,
    /// Their first name.
    pub given_name: Option<String>,
    /// Their last name.
    pub family_name: Option<String>,
}

/// Checks a Google ID token.
///
/// # Errors
/// 401 `google_token_invalid`, whatever is wrong with it; 503 `google_not_configured` without a client id,
/// `google_unavailable` when Google's keys are needed and cannot be fetched.
pub async fn verify(app: &Arc<App>, credential: &Secret) -> Result<GoogleIdentity, Error> {
    let client_id = app.settings.google_client_id.as_deref().ok_or_else(not_configured)?;
    let parts = split(credential.expose()).ok_or_else(invalid)?;
    let header: Header = decode(parts.header).ok_or_else(invalid)?;
    if header.alg != "RS256" || header.crit.is_some() {
        return Err(invalid());
    }
    // What is not for us, or not in force, must not make us fetch keys. It is believed only when verified.
    let claims: Claims = decode(parts.payload).ok_or_else(invalid)?;
    if !claims.hold(app.now(), client_id) {
        return Err(invalid());
    }
    let kid = header.kid.as_deref().ok_or_else(invalid)?;
    let key = keys::find(app, kid).await?.ok_or_else(invalid)?;
    if is_signed(app, &key, &parts).await? { claims.identity().ok_or_else(invalid) } else { Err(invalid()) }
}

async fn is_signed(app: &App, key: &PublicKey, parts: &Parts<'_>) -> Result<bool, Error> {
    let signature = URL_SAFE_NO_PAD.decode(parts.signature).map_err(|_| invalid())?;
    Ok(app.ports.signer.verify(key, parts.signed.as_bytes(), &signature).await?)
}

fn invalid() -> Error {
    Error::wrong_credentials(
        "google_token_invalid",
        "Google's token is not valid here: sign in with Google again",
    )
}

fn not_configured() -> Error {
    Error::unavailable("google_not_configured", "signing in with Google is not set up here", 3600)
}

/// The claims of an ID token.
#[derive(Clone, Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    email: Option<String>,
    email_verified: Option<Verified>,
    given_name: Option<String>,
    family_name: Option<String>,
}

/// Google has written this both as a boolean and as a string.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Verified {
    Flag(bool),
    Text(String),
}

impl Claims {
    /// Whether they hold at an instant, for this client alone.
    fn hold(&self, now: Timestamp, client_id: &str) -> bool {
        let now = now.as_seconds();
        let latest = now.saturating_add(MAX_SKEW_SECONDS);
        ISSUERS.contains(&self.iss.as_str())
            && self.aud == Audience::One(client_id.to_owned())
            && self.exp.saturating_add(MAX_SKEW_SECONDS) > now
            && self.iat <= latest
            && self.nbf.is_none_or(|nbf| nbf <= latest)
            && self.is_of_verified_address()
            // At most 255 ASCII characters, says Google; they become part of a key.
            && (1..=255).contains(&self.sub.len())
            && self.sub.bytes().all(|b| b.is_ascii_graphic())
    }

    fn is_of_verified_address(&self) -> bool {
        match &self.email_verified {
            Some(Verified::Flag(verified)) => *verified,
            Some(Verified::Text(text)) => text == "true",
            None => false,
        }
    }

    fn identity(self) -> Option<GoogleIdentity> {
        let email = Email::parse(self.email.as_deref()?).ok()?;
        Some(GoogleIdentity {
            sub: self.sub,
            email,
            given_name: self.given_name,
            family_name: self.family_name,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn claims(changes: Value) -> Claims {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "ours", "sub": "123",
            "exp": NOW + 10, "iat": NOW - 10, "email": "Ada@example.com", "email_verified": true,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn f2_claims_hold_for_us_and_now() {
        for right in [
            json!({}),
            json!({ "iss": "accounts.google.com", "email_verified": "true" }),
            json!({ "exp": NOW - 59, "iat": NOW + 60, "nbf": NOW + 60 }),
        ] {
            assert!(claims(right.clone()).hold(at(NOW), "ours"), "{right}");
        }
        for wrong in [
            json!({ "iss": "https://accounts.google.com.evil.example" }),
            json!({ "aud": "theirs" }),
            json!({ "aud": ["ours", "theirs"] }),
            json!({ "exp": NOW - 60 }),
            json!({ "iat": NOW + 61 }),
            json!({ "nbf": NOW + 61 }),
            json!({ "exp": i64::MIN }),
            json!({ "email_verified": false }),
            json!({ "email_verified": "yes" }),
            json!({ "email_verified": null }),
            json!({ "sub": "" }),
        ] {
            assert!(!claims(wrong.clone()).hold(at(NOW), "ours"), "{wrong}");
        }
        assert_eq!(claims(json!({})).identity().unwrap().email.as_str(), "ada@example.com");
        assert_eq!(claims(json!({ "email": null })).identity(), None);
    }
}
