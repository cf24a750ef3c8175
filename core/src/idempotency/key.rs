//! Keys and fingerprints: which request is which.

use base16ct::lower::encode_string as hex;
use http::{HeaderMap, HeaderName, Method, header};

use crate::App;
use crate::auth::mac;
use crate::error::Error;
use crate::secret::SecretKey;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const MAX_CHARS: usize = 255;

/// The key of a request, if it has one.
///
/// # Errors
/// 400 `invalid_idempotency_key` unless it is 1 to 255 visible ASCII characters, given once.
pub fn of(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    let fits = |key: &&str| (1..=MAX_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match value.to_str().ok().filter(fits) {
        Some(key) if second.is_none() => Ok(Some(key)),
        _ => Err(Error::bad_request(
            "invalid_idempotency_key",
            "`Idempotency-Key` must be 1 to 255 visible ASCII characters",
        )),
    }
}

/// The id of the record of a key; tells neither the key nor whose it is.
#[must_use]
pub fn record_id(app: &App, scope: &str, key: &str) -> String {
    let tag = mac::tag(&app.server_keys.counters, &[b"idempotency", scope.as_bytes(), key.as_bytes()]);
    format!("idempotency#{}", hex(&tag))
}

/// The fingerprint of a request.
#[must_use]
pub fn fingerprint(app: &App, method: &Method, target: &str, content: &[u8]) -> String {
    made_with(&app.server_keys.counters, method, target, content)
}

fn made_with(key: &SecretKey, method: &Method, target: &str, content: &[u8]) -> String {
    let parts: [&[u8]; 4] = [b"fingerprint", method.as_str().as_bytes(), target.as_bytes(), content];
    hex(&mac::tag(key, &parts))
}

/// What the headers announce of a body: its type, but for the boundary, which clients draw anew, its length and its hash.
#[must_use]
pub fn announced(headers: &HeaderMap) -> Vec<u8> {
    let text = |name: &HeaderName| headers.get(name).map_or(&[][..], |value| value.as_bytes());
    let essence = text(&header::CONTENT_TYPE).split(|b| *b == b';').next().unwrap_or_default();
    let [digest, repr_digest] = ["content-digest", "repr-digest"].map(HeaderName::from_static);
    [essence, text(&header::CONTENT_LENGTH), text(&digest), text(&repr_digest)].join(&b'\n')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        of(&headers).map(|key| key.map(str::to_owned)).map_err(|error| error.code)
    }

    #[test]
    fn a2_keys_are_visible_ascii() {
        let longest = "k".repeat(255);
        assert_eq!(read(&[]), Ok(None));
        for right in ["a", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", &longest] {
            assert_eq!(read(&[right]), Ok(Some(right.to_owned())));
        }
        let too_long = "k".repeat(256);
        for wrong in [&[""][..], &["a b"], &["\u{e4}"], &[&too_long], &["a", "a"], &["a\tb"]] {
            assert_eq!(read(wrong), Err("invalid_idempotency_key"), "{wrong:?}");
        }
    }

    #[test]
    fn a2_a_fingerprint_covers_method_target_and_content() {
        let key = SecretKey::new([1; 32]);
        let one = made_with(&key, &Method::POST, "/v1/users", b"{}");
        assert_eq!(one, made_with(&key, &Method::POST, "/v1/users", b"{}"));
        for other in [
            made_with(&key, &Method::PUT, "/v1/users", b"{}"),
            made_with(&key, &Method::POST, "/v1/users?a", b"{}"),
            made_with(&key, &Method::POST, "/v1/users", b"{ }"),
            made_with(&key, &Method::POST, "/v1/user", b"s{}"),
            made_with(&SecretKey::new([2; 32]), &Method::POST, "/v1/users", b"{}"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a2_a_stream_is_known_by_what_is_announced_of_it() {
        let of = |content_type: &'static str, length: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            announced(&headers)
        };
        let one = of("multipart/form-data; boundary=a", "100");
        assert_eq!(one, of("multipart/form-data; boundary=b", "100"));
        assert_ne!(one, of("multipart/form-data; boundary=a", "101"));
        assert_ne!(one, of("multipart/mixed; boundary=a", "100"));
    }
}
