//! A request on its way through the router to its handler.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::body::{Body, ReadError};
use super::client::Client;
use super::json;
use crate::auth::access::Caller;
use crate::error::Error;
use crate::text::is_id;

/// The longest JSON body, in bytes.
pub const MAX_JSON_BYTES: usize = 64 * 1024;

/// A request that matched a route and passed its access rule.
#[derive(Debug)]
pub struct Request {
    /// Its id: the client's own, or a new ULID.
    pub id: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Who sent it.
    pub client: Client,
    pub(super) params: Vec<(String, String)>,
    pub(super) query: Option<String>,
    pub(super) caller: Option<Caller>,
    pub(super) body: Body,
}

impl Request {
    /// Who is signed in. Routes that are not public always have a caller.
    ///
    /// # Errors
    /// 401 on a public route: a handler that needs a caller fails closed.
    pub fn caller(&self) -> Result<&Caller, Error> {
        self.caller.as_ref().ok_or_else(Error::unauthenticated)
    }

    /// A path parameter.
    ///
    /// # Errors
    /// 404 for text that is no id, so that no other kind of key can be asked for.
    pub fn id_param(&self) -> Result<&str, Error> {
        self.param("id").filter(|id| is_id(id)).ok_or_else(Error::not_found)
    }

    /// The user that the path names; `me` is the caller.
    ///
    /// # Errors
    /// As [`Request::id_param`] and [`Request::caller`].
    pub fn user_param(&self) -> Result<&str, Error> {
        match self.id_param()? {
            "me" => Ok(&self.caller()?.user_id),
            id => Ok(id),
        }
    }

    /// A path parameter as it stands.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first query parameter of a name, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_deref()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// A boolean query parameter; absent is false.
    ///
    /// # Errors
    /// 400 `invalid_parameter` for anything but true and false (or 1 and 0).
    pub fn flag(&self, name: &'static str) -> Result<bool, Error> {
        match self.query(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => {
                Err(Error::bad_request("invalid_parameter", format!("`{name}` must be `true` or `false`")))
            }
        }
    }

    /// Reads the body as a JSON object.
    ///
    /// # Errors
    /// 415 for another content type, 413 above [`MAX_JSON_BYTES`], 400 as [`json::parse`].
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.json_within(MAX_JSON_BYTES).await
    }

    /// Reads the body as a JSON object of at most so many bytes.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn json_within<T: DeserializeOwned>(&mut self, max_bytes: usize) -> Result<T, Error> {
        let body = self.take_body();
        read_json(&self.headers, body, max_bytes).await
    }

    /// Takes the body as it is.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Hands on a body that was read.
    pub(crate) fn set_body(&mut self, body: Body) {
        self.body = body;
    }

    /// Takes the body whole, if it is at most so many bytes long.
    ///
    /// # Errors
    /// 413, 400 when it broke off.
    pub async fn read_body(&mut self, max_bytes: usize) -> Result<Bytes, Error> {
        let body = self.take_body();
        read_whole(&self.headers, body, max_bytes).await
    }
}

/// Reads a body as a JSON object of at most so many bytes.
///
/// # Errors
/// 415 for another content type, 413 above the limit, 400 as [`json::parse`].
pub async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
) -> Result<T, Error> {
    refuse_coded(headers)?;
    if !is_json(headers) {
        return Err(unsupported("send the body as `Content-Type: application/json`"));
    }
    json::parse(&read_whole(headers, body, max_bytes).await?)
}

async fn read_whole(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Error> {
    let read = body.read(max_bytes, announced_length(headers)).await;
    read.map_err(|error| refuse_body(error, max_bytes))
}

/// How long the client says that the body is.
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body in a content coding: nothing is ever inflated (RFC 9110, section 15.5.16).
///
/// # Errors
/// 415.
pub(crate) fn refuse_coded(headers: &HeaderMap) -> Result<(), Error> {
    let codings = headers.get_all(header::CONTENT_ENCODING);
    if codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(unsupported("send the body as it is, without `Content-Encoding`"))
}

fn unsupported(detail: &'static str) -> Error {
    Error::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    match headers.get(header::CONTENT_TYPE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        }),
    }
}

fn refuse_body(error: ReadError, max_bytes: usize) -> Error {
    match error {
        ReadError::TooLarge => Error::new(
            http::StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is longer than {max_bytes} bytes"),
        ),
        ReadError::Broken(error) => {
            Error::bad_request("malformed_json", "the body broke off").caused_by(error)
        }
    }
}
