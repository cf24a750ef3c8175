//! The keys that Google signs with, as it publishes them and for as long as it says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, HeaderMap};
use http::{Request, StatusCode};
use serde::Deserialize;

use crate::App;
use crate::auth::keys::PublicKey;
use crate::error::Error;
use crate::time::Timestamp;

/// Where they are published.
const KEYS_URL: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// How often, at most, an unknown key id makes us ask for the keys before their time, in seconds.
const REFETCH_SECONDS: i64 = 60;

/// The longest that keys are kept, in seconds, whatever their `Cache-Control` allows.
const MAX_AGE_SECONDS: i64 = 24 * 60 * 60;

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
    /// Looks a key up. An unknown id is worth asking for, as keys may change early, but not often.
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

/// The key that Google calls `kid`, if it has such a one now.
///
/// # Errors
/// 503 `google_unavailable`.
pub(super) async fn find(app: &Arc<App>, kid: &str) -> Result<Option<PublicKey>, Error> {
    match app.google_keys.look_up(kid, app.now()) {
        Answer::Known(key) => Ok(Some(key)),
        Answer::Unknown => Ok(None),
        Answer::Ask => {
            let set = fetch(app).await?;
            let key = set.keys.get(kid).cloned();
            app.google_keys.keep(set);
            Ok(key)
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
