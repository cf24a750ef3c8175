//! The id by which an answer, its problem and its log lines are found together.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::reply::{self, Reply};
use crate::error::Error;
use crate::ports::clock::Clock;
use crate::ports::entropy::{Entropy, EntropyError};

/// The header that brings it and takes it.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id if it is 1 to 128 visible ASCII characters, else a new ULID. Without randomness that is merely less
/// unique.
#[must_use]
pub fn of(headers: &HeaderMap, clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    headers
        .get(&REQUEST_ID)
        .map(HeaderValue::as_bytes)
        .filter(|id| (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic))
        .and_then(|id| String::from_utf8(id.to_vec()).ok())
        .unwrap_or_else(|| new_ulid(clock, entropy).unwrap_or_else(|_| ulid(clock, 0)))
}

/// Gives an answer its id.
pub fn set(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
}

/// The answer to a request that the app has not seen: a problem, with what every answer carries.
#[must_use]
pub fn refuse(error: &Error, id: &str) -> Reply {
    let mut reply = reply::problem(error, id);
    set(reply.headers_mut(), id);
    reply::protect(reply.headers_mut());
    reply
}

/// A new ULID: sorts by creation, and cannot be guessed.
///
/// # Errors
/// Without randomness.
pub(crate) fn new_ulid(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<String, EntropyError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    Ok(ulid(clock, u128::from_be_bytes(bytes)))
}

fn ulid(clock: &dyn Clock, random: u128) -> String {
    let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
    ulid::Ulid::from_parts(millis, random).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::clock::ManualClock;
    use crate::memory::entropy::SeededEntropy;

    fn id(given: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(REQUEST_ID.clone(), HeaderValue::from_bytes(given).unwrap())]);
        of(&headers, &ManualClock::default(), &SeededEntropy::new(1))
    }

    #[test]
    fn the_callers_id_is_kept_if_it_is_plain() {
        let longest = "x".repeat(128);
        for given in ["a", "3f-2_~!", &longest] {
            assert_eq!(id(given.as_bytes()), given);
        }
        for odd in [&b""[..], b"a b", b"\xe4", "x".repeat(129).as_bytes()] {
            assert_eq!(id(odd).len(), 26, "a ULID instead of {odd:?}");
        }
    }
}
