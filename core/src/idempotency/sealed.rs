//! Answers at rest: sealed under a key of the server's own, for they may hold tokens, and each bound to the record that
//! holds it.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::App;
use crate::auth::seal::{self, NONCE_BYTES};
use crate::error::Error;
use crate::http::body::Body;
use crate::http::reply::Reply;
use crate::secret::SecretKey;

/// The longest body that is kept, in bytes; sealed and as text it fits into an item.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The headers that belong to an answer. The others belong to the exchange.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// What is given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// What is kept of an answer; none of one that failed, streams, or is too long.
    #[must_use]
    pub fn of(reply: &Reply) -> Option<Self> {
        let passing = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&reply.status());
        if passing || reply.status().is_server_error() {
            return None;
        }
        let body = match reply.body() {
            Body::Empty => Bytes::new(),
            Body::Full(bytes) if bytes.len() <= MAX_BODY_BYTES => bytes.clone(),
            Body::Full(_) | Body::Stream(_) => return None,
        };
        let headers = reply.headers().iter().filter(|(name, _)| KEPT_HEADERS.contains(name));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Self { status: reply.status(), headers, body })
    }

    /// A text in its body, if that is an object in JSON.
    pub(super) fn member(&self, name: &str) -> Option<String> {
        let body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    }

    /// The answer again.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        let mut reply = Response::new(Body::from(self.body));
        *reply.status_mut() = self.status;
        reply.headers_mut().extend(self.headers);
        reply
    }

    /// The head as one line of JSON, then the body.
    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let text = |(name, value): &(HeaderName, HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let head = Head { status: self.status.as_u16(), headers: self.headers.iter().map(text).collect() };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|b| *b == b'\n')?;
        let (head, body) = bytes.split_at_checked(end)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let header = |(name, value): (String, String)| Some((name.parse().ok()?, value.parse().ok()?));
        Some(Self {
            status: StatusCode::from_u16(head.status).ok()?,
            headers: head.headers.into_iter().map(header).collect::<Option<_>>()?,
            body: Bytes::copy_from_slice(body.get(1..)?),
        })
    }
}

/// Seals an answer for the record of an id.
///
/// # Errors
/// 503 without randomness.
pub fn seal(app: &App, id: &str, answer: &Answer) -> Result<String, Error> {
    seal_with(&app.server_keys.answers, app.random()?, id, answer).ok_or_else(|| unusable("sealed"))
}

/// Opens the answer that a record of an id holds.
///
/// # Errors
/// 503 for one that was sealed elsewhere.
pub fn open(app: &App, id: &str, sealed: &str) -> Result<Answer, Error> {
    open_with(&app.server_keys.answers, id, sealed).ok_or_else(|| unusable("opened"))
}

fn seal_with(key: &SecretKey, nonce: [u8; NONCE_BYTES], id: &str, answer: &Answer) -> Option<String> {
    seal::seal(key, nonce, id, &answer.to_bytes().ok()?)
}

fn open_with(key: &SecretKey, id: &str, sealed: &str) -> Option<Answer> {
    Answer::from_bytes(&seal::open(key, id, sealed)?)
}

fn unusable(what: &str) -> Error {
    tracing::error!("an answer kept under an idempotency key could not be {what}");
    Error::unavailable("busy", "the first answer cannot be given again just now", 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Answer {
            status: StatusCode::CREATED,
            headers,
            body: Bytes::from_static(b"{\n\"token\":\"canary\"}\n"),
        }
    }

    #[test]
    fn a2_an_answer_comes_back_whole() {
        let key = SecretKey::new([1; 32]);
        let sealed = seal_with(&key, [7; 24], "id", &answer()).unwrap();
        assert_eq!(open_with(&key, "id", &sealed), Some(answer()));
        let empty = Answer { headers: Vec::new(), body: Bytes::new(), ..answer() };
        assert_eq!(open_with(&key, "id", &seal_with(&key, [8; 24], "id", &empty).unwrap()), Some(empty));
    }

    #[test]
    fn a2_nobody_else_opens_it() {
        let key = SecretKey::new([1; 32]);
        let sealed = seal_with(&key, [7; 24], "id", &answer()).unwrap();
        assert!(!sealed.contains("canary") && !sealed.contains("Y2FuYXJ5"));
        assert_eq!(open_with(&SecretKey::new([2; 32]), "id", &sealed), None);
        assert_eq!(open_with(&key, "other", &sealed), None);
        let altered = format!("A{}", &sealed[1..]);
        assert_eq!(open_with(&key, "id", &altered), None);
        assert_eq!(open_with(&key, "id", ""), None);
    }

    #[test]
    fn a2_what_does_not_stand_is_not_kept() {
        let with = |status: u16, body: Body| {
            let mut reply = Response::new(body);
            *reply.status_mut() = StatusCode::from_u16(status).unwrap();
            Answer::of(&reply).is_some()
        };
        assert!(with(201, Body::from("x")) && with(409, Body::empty()));
        for status in [401, 429, 500, 503] {
            assert!(!with(status, Body::empty()), "{status}");
        }
        assert!(!with(201, Body::from(vec![0; MAX_BODY_BYTES + 1])));
        assert!(!with(201, Body::stream(futures::stream::empty())));
    }
}
