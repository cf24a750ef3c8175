//! Access tokens: JWTs signed with RS256 (RFC 7519, RFC 9068, and the precautions of RFC 8725).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::PublicKey;
use crate::App;
use crate::error::Error;
use crate::sessions::model::Session;
use crate::time::{MAX_SKEW_SECONDS, Timestamp};
use crate::users::model::{Role, User};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The media type of our access tokens (RFC 9068, section 2.1); no other token of ours carries it.
const TYPE: &str = "at+jwt";

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub user_id: String,
    /// The device that the session is bound to.
    pub device_id: String,
    /// The user's role when the token was made.
    pub role: Role,
    /// The session, without which the token is worth nothing.
    pub session_id: String,
    /// Who made the token.
    pub iss: String,
    /// Who it is for.
    pub aud: Audience,
    /// The user again, under its registered name.
    pub sub: String,
    /// When it was made, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// From when on it holds, if later than `iat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its own id.
    pub jti: String,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// Whether an audience is among them.
    #[must_use]
    pub fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

/// The protected header. Members that would let a token bring its own key (`jku`, `x5u`, `jwk`) are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    pub(super) crit: Option<Value>,
}

/// Makes a token for a session.
///
/// # Errors
/// 503 when the signer refuses.
pub async fn issue(app: &Arc<App>, user: &User, session: &Session) -> Result<String, Error> {
    let now = app.now().as_seconds();
    let claims = Claims {
        user_id: user.user_id.clone(),
        device_id: session.device_id.clone(),
        role: user.role,
        session_id: session.session_id.clone(),
        iss: app.settings.issuer.clone(),
        aud: Audience::One(app.settings.audience.clone()),
        sub: user.user_id.clone(),
        iat: now,
        exp: now.saturating_add(app.settings.access_token_seconds),
        nbf: None,
        jti: app.new_id()?,
    };
    let payload = serde_json::to_vec(&claims)
        .map_err(|error| Error::unavailable("busy", "the token could not be made", 1).caused_by(error))?;
    let header = format!(r#"{{"alg":"RS256","kid":"{}","typ":"{TYPE}"}}"#, app.keys.private.public().kid);
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = app.ports.signer.sign(token.as_bytes()).await?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Reads a token that this server signed and that holds now.
///
/// # Errors
/// 401 `invalid_token`, whatever is wrong with it.
pub async fn verify(app: &Arc<App>, token: &str) -> Result<Claims, Error> {
    let parts = split(token).ok_or_else(invalid)?;
    let is_new = !app.verified_tokens.contains(token);
    if is_new {
        check(app, &parts).await?;
    }
    let claims: Claims = decode(parts.payload).ok_or_else(invalid)?;
    if !holds(&claims, app.now(), &app.settings.issuer, &app.settings.audience) {
        return Err(invalid());
    }
    if is_new {
        app.verified_tokens.insert(token);
    }
    Ok(claims)
}

/// Refuses a token that is not of our type, or not signed with one of our keys: what never changes about it.
async fn check(app: &App, parts: &Parts<'_>) -> Result<(), Error> {
    let header: Header = decode(parts.header).ok_or_else(invalid)?;
    let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
    if header.alg != "RS256"
        || header.crit.is_some()
        || !matches!(typ.as_deref(), Some(TYPE | "application/at+jwt"))
    {
        return Err(invalid());
    }
    let key = header.kid.and_then(|kid| app.keys.find(&kid)).ok_or_else(invalid)?;
    check_signature(app, key, parts).await
}

/// Refuses a token whose signature is not the key's.
pub(super) async fn check_signature(app: &App, key: &PublicKey, parts: &Parts<'_>) -> Result<(), Error> {
    let signature = URL_SAFE_NO_PAD.decode(parts.signature).map_err(|_| invalid())?;
    if app.ports.signer.verify(key, parts.signed.as_bytes(), &signature).await? {
        Ok(())
    } else {
        Err(invalid())
    }
}

/// Whether the claims hold at an instant.
fn holds(claims: &Claims, now: Timestamp, issuer: &str, audience: &str) -> bool {
    let now = now.as_seconds();
    claims.iss == issuer
        && claims.aud.contains(audience)
        && claims.sub == claims.user_id
        && !claims.sub.is_empty()
        && !claims.jti.is_empty()
        && !claims.session_id.is_empty()
        && claims.exp.saturating_add(MAX_SKEW_SECONDS) > now
        && claims.iat <= now.saturating_add(MAX_SKEW_SECONDS)
        && claims.nbf.is_none_or(|nbf| nbf <= now.saturating_add(MAX_SKEW_SECONDS))
}

/// A token's three parts (RFC 7515, section 7.1), and what is signed.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
    pub(super) signed: &'a str,
}

/// Splits a compact token.
pub(super) fn split(token: &str) -> Option<Parts<'_>> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    (!payload.contains('.')).then_some(Parts { header, payload, signature, signed })
}

/// Reads one base64url-encoded JSON part.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn invalid() -> Error {
    Error::invalid_token("invalid_token", "this access token is not valid: refresh it or sign in again")
}
