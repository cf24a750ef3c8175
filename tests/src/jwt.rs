//! JWTs as texts: taken apart, changed and put together, rightly or wrongly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What a part of a token says: 0 is the header, 1 the claims.
///
/// # Panics
/// When it has no such part, or that is no JSON.
#[must_use]
pub fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("Base64URL")).expect("JSON")
}

/// What is signed (RFC 7515, section 5.1): header and claims, encoded.
#[must_use]
pub fn message(header: &Value, claims: &Value) -> String {
    raw_message(header.to_string().as_bytes(), claims.to_string().as_bytes())
}

/// The same of whatever bytes.
#[must_use]
pub fn raw_message(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// The object with some members set; null removes one.
///
/// # Panics
/// When either is no object.
#[must_use]
pub fn with(object: &Value, changes: &Value) -> Value {
    let mut changed = object.as_object().expect("an object").clone();
    for (name, change) in changes.as_object().expect("an object") {
        if change.is_null() {
            changed.remove(name);
        } else {
            changed.insert(name.clone(), change.clone());
        }
    }
    Value::Object(changed)
}
