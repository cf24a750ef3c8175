//! Google's ID tokens: is this one theirs, meant for us, in force, and of a proven address? (OpenID Connect Core, section
//! 3.1.3.7, and Google's own rules.) What follows from it for accounts is in `sessions::google`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, HeaderMap};
use http::{Request, StatusCode};
use serde::Deserialize;

use super::access_token::{Audience, Header, MAX_SKEW_SECONDS, Parts, decode, split};
use super::keys::PublicKey;
use crate::App;
use crate::error::Error;
use crate::secret::Secret;
use crate::text::Email;
use crate::time::Timestamp;

/// Where Google publishes its keys.
const KEYS_URL: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// The names under which Google issues.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// How often, at most, an unknown key id makes us ask for the keys before their time, in seconds.
const REFETCH_SECONDS: i64 = 60;

/// The longest that keys are kept, in seconds, whatever their `Cache-Control` allows.
const MAX_AGE_SECONDS: i64 = 24 * 60 * 60;

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
    // What is not for us, or not in force, must not make us fetch keys; it is believed only once it is verified.
    let claims: Claims = decode(parts.payload).ok_or_else(invalid)?;
    if !claims.hold(app.now(), client_id) {
        return Err(invalid());
    }
    let key = find_key(app, header.kid.as_deref().ok_or_else(invalid)?).await?;
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

/// Google's keys, for as long as their `Cache-Control` allows.
#[derive(Debug, Default)]
pub struct GoogleKeys(Mutex<KeySet>);

/// Keys by Google's own key ids.
#[derive(Clone, Debug, Default)]
struct KeySet {
    keys: HashMap<String, PublicKey>,
    fetched_at: Timestamp,
    expires_at: Timestamp,
}

/// What the keys at hand say about a key id.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Known(PublicKey),
    Unknown,
    Ask,
}

impl GoogleKeys {
    /// Looks a key up. An unknown id is worth asking for, as keys may change before their time, but not often.
    fn look_up(&self, kid: &str, now: Timestamp) -> Answer {
        let mut set = self.lock();
        if !(set.fetched_at..set.expires_at).contains(&now) {
            return Answer::Ask;
        }
        if let Some(key) = set.keys.get(kid) {
            return Answer::Known(key.clone());
        }
        if now.seconds_since(set.fetched_at) < REFETCH_SECONDS {
            return Answer::Unknown;
        }
        // Taken before asking, so that of many at once one asks.
        set.fetched_at = now;
        Answer::Ask
    }

    fn keep(&self, set: KeySet) {
        *self.lock() = set;
    }

    fn lock(&self) -> MutexGuard<'_, KeySet> {
        // A panic under the lock cannot leave the set half-changed: nothing there can fail.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn find_key(app: &Arc<App>, kid: &str) -> Result<PublicKey, Error> {
    match app.google_keys.look_up(kid, app.now()) {
        Answer::Known(key) => Ok(key),
        Answer::Unknown => Err(invalid()),
        Answer::Ask => {
            let set = fetch(app).await?;
            let key = set.keys.get(kid).cloned();
            app.google_keys.keep(set);
            key.ok_or_else(invalid)
        }
    }
}

async fn fetch(app: &Arc<App>) -> Result<KeySet, Error> {
    let request = Request::get(KEYS_URL)
        .body(Bytes::new())
        .map_err(|error| unavailable("the request cannot be made").caused_by(error))?;
    let answer =
        app.ports.http.send(request).await.map_err(|error| unavailable("no answer").caused_by(error))?;
    if answer.status() != StatusCode::OK {
        return Err(unavailable("the keys are not there").caused_by(format!("status {}", answer.status())));
    }
    let keys = read_keys(answer.body());
    if keys.is_empty() {
        return Err(unavailable("there are no keys").caused_by("no RS256 key in the key set"));
    }
    let now = app.now();
    Ok(KeySet { keys, fetched_at: now, expires_at: now.plus_seconds(lifetime(answer.headers())) })
}

fn unavailable(detail: &str) -> Error {
    Error::unavailable(
        "google_unavailable",
        format!("Google's keys cannot be fetched ({detail}): try again shortly"),
        5,
    )
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// The keys of a key set (RFC 7517) that sign with RS256; others are ignored, as its section 5 asks.
fn read_keys(body: &[u8]) -> HashMap<String, PublicKey> {
    let published = serde_json::from_slice::<Published>(body).map(|set| set.keys).unwrap_or_default();
    published.into_iter().filter_map(read_key).collect()
}

fn read_key(key: PublishedKey) -> Option<(String, PublicKey)> {
    let fits = key.kty == "RSA"
        && key.r#use.is_none_or(|r#use| r#use == "sig")
        && key.alg.is_none_or(|alg| alg == "RS256");
    let number = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let public = PublicKey::new(&number(key.n)?, &number(key.e)?).ok()?;
    fits.then_some((key.kid?, public))
}

/// For how many seconds an answer may be kept (RFC 9111, section 4.2); not at all, unless it says so.
fn lifetime(headers: &HeaderMap) -> i64 {
    let directives = || {
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase())
    };
    if directives().any(|directive| directive == "no-store" || directive == "no-cache") {
        return 0;
    }
    let seconds = |text: &str| text.trim_matches('"').parse::<i64>().ok();
    let max_age =
        directives().find_map(|directive| seconds(directive.strip_prefix("max-age=")?)).unwrap_or(0);
    let age = headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?)).unwrap_or(0);
    max_age.saturating_sub(age.max(0)).clamp(0, MAX_AGE_SECONDS)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn claims(changes: Value) -> Claims {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "ours", "sub": "123", "exp": NOW + 10, "iat": NOW - 10,
            "email": "Ada@example.com", "email_verified": true, "given_name": "Ada",
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

    fn headers(fields: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn f2_keys_are_kept_as_long_as_they_may_be() {
        assert_eq!(lifetime(&headers(&[(CACHE_CONTROL, "public, Max-Age=20000, must-revalidate")])), 20_000);
        assert_eq!(lifetime(&headers(&[(CACHE_CONTROL, "max-age=20000"), (AGE, "19000")])), 1_000);
        assert_eq!(lifetime(&headers(&[(CACHE_CONTROL, "max-age=99999999999999")])), MAX_AGE_SECONDS);
        for none in ["max-age=x", "max-age=-1", "max-age=60, no-cache", "no-store", "public"] {
            assert_eq!(lifetime(&headers(&[(CACHE_CONTROL, none)])), 0, "{none}");
        }
        assert_eq!(lifetime(&HeaderMap::new()), 0);
    }

    fn key() -> PublicKey {
        PublicKey::new(&[0xff; 256], &[1, 0, 1]).unwrap()
    }

    fn key_set() -> KeySet {
        let keys = HashMap::from([("k1".to_owned(), key())]);
        KeySet { keys, fetched_at: at(NOW), expires_at: at(NOW + 3600) }
    }

    #[test]
    fn f2_an_unknown_key_is_asked_for_once_a_minute() {
        let keys = GoogleKeys::default();
        assert_eq!(keys.look_up("k1", at(NOW)), Answer::Ask);
        keys.keep(key_set());
        assert_eq!(keys.look_up("k1", at(NOW + 3599)), Answer::Known(key()));
        assert_eq!(keys.look_up("k2", at(NOW + 59)), Answer::Unknown);
        assert_eq!(keys.look_up("k2", at(NOW + 60)), Answer::Ask);
        assert_eq!(keys.look_up("k3", at(NOW + 61)), Answer::Unknown);
        assert_eq!(keys.look_up("k1", at(NOW + 3600)), Answer::Ask, "expired");
        assert_eq!(keys.look_up("k1", at(NOW - 1)), Answer::Ask, "the clock went back");
    }

    #[test]
    fn f2_only_rs256_keys_count() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let jwk = |kid: &str, changes: Value| {
            let mut jwk =
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": "AQAB" });
            for (name, value) in changes.as_object().unwrap() {
                jwk[name] = value.clone();
            }
            jwk
        };
        let set = json!({ "keys": [
            jwk("good", json!({})),
            jwk("bare", json!({ "use": null, "alg": null })),
            jwk("ec", json!({ "kty": "EC" })),
            jwk("other", json!({ "alg": "RS512" })),
            jwk("weak", json!({ "n": URL_SAFE_NO_PAD.encode([0xff; 128]) })),
            jwk("broken", json!({ "n": "%" })),
        ]});
        let mut kids: Vec<String> = read_keys(set.to_string().as_bytes()).into_keys().collect();
        kids.sort();
        assert_eq!(kids, ["bare", "good"]);
        assert!(read_keys(b"<html>").is_empty());
    }
}
