//! Page cursors: where a list goes on, signed so that a client can only bring back what it was given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::mac;
use crate::error::Error;
use crate::secret::SecretKey;

/// Makes a cursor of a position in a list. `scope` names the list (and whose it is), so that a cursor is of no
/// use elsewhere.
#[must_use]
pub fn seal<T: Serialize>(key: &SecretKey, scope: &str, position: &T) -> Option<String> {
    let payload = serde_json::to_vec(position).ok()?;
    let tag = mac::tag(key, &[scope.as_bytes(), &payload]);
    Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(&tag[..16])))
}

/// Reads a cursor back.
///
/// # Errors
/// 400 `invalid_cursor` for one that this server did not make for this list.
pub fn open<T: DeserializeOwned>(key: &SecretKey, scope: &str, cursor: &str) -> Result<T, Error> {
    let invalid = || Error::bad_request("invalid_cursor", "use `next_cursor` of the page before, unchanged");
    let (payload, tag) = cursor.split_once('.').ok_or_else(invalid)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| invalid())?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| invalid())?;
    let expected = mac::tag(key, &[scope.as_bytes(), &payload]);
    if !mac::equal(&expected[..16], &tag) {
        return Err(invalid());
    }
    serde_json::from_slice(&payload).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_a_forged_cursor_is_refused() {
        let key = SecretKey::new([1; 32]);
        let cursor = seal(&key, "users", &"01ABC").unwrap();
        assert_eq!(open::<String>(&key, "users", &cursor).unwrap(), "01ABC");
        let mut altered = cursor.clone().into_bytes();
        altered[0] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        let truncated = &cursor[..cursor.len() - 1];
        for (key, scope, cursor) in [
            (&SecretKey::new([2; 32]), "users", cursor.as_str()),
            (&key, "sessions", &cursor),
            (&key, "users", &altered),
            (&key, "users", truncated),
            (&key, "users", ""),
            (&key, "users", "."),
            (&key, "users", "%%%.%%%"),
        ] {
            assert_eq!(open::<String>(key, scope, cursor).unwrap_err().code, "invalid_cursor", "{cursor}");
        }
    }
}
