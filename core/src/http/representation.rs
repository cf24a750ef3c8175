//! Answering with bytes as the request's conditions and range want them: whole, in part, or not at all (RFC 9110,
//! sections 13 and 14). No browser shows what is answered here as a page of this service.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::Body;
use super::range::{self, Wanted};
use super::reply::{self, Reply};
use super::request::Request;
use crate::error::Error;
use crate::ports::blobs::ByteRange;

/// What a browser may do with bytes that it opens all the same: nothing.
static SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// What there is to be had.
#[derive(Clone, Copy, Debug)]
pub struct Representation<'a> {
    /// Its length in bytes.
    pub length: u64,
    /// Its media type.
    pub content_type: &'a str,
    /// Its `Content-Disposition`.
    pub disposition: &'a str,
    /// Its strong entity tag, if it has one.
    pub etag: Option<&'a str>,
}

/// What a request wants of a [`Representation`].
#[derive(Debug)]
pub enum Selection {
    /// These bytes of it, or all of them.
    Bytes(Option<ByteRange>),
    /// None of them: this is the answer.
    Nothing(Reply),
}

impl Representation<'_> {
    /// Reads the request's conditions and range.
    #[must_use]
    pub fn select(&self, request: &Request) -> Selection {
        if self.etag.is_some_and(|etag| range::is_known(&request.headers, etag)) {
            return Selection::Nothing(self.not_modified());
        }
        match range::wanted(&request.headers, self.length, self.etag) {
            Wanted::Whole => Selection::Bytes(None),
            Wanted::Part(part) => Selection::Bytes(Some(part)),
            Wanted::Unsatisfiable => Selection::Nothing(self.unsatisfiable(&request.id)),
        }
    }

    /// The answer with the bytes that were selected.
    #[must_use]
    pub fn reply(&self, part: Option<ByteRange>, bytes: Body) -> Reply {
        let mut reply = Response::new(bytes);
        let headers = reply.headers_mut();
        set(headers, header::CONTENT_TYPE, self.content_type);
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        set(headers, header::CONTENT_DISPOSITION, self.disposition);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX.clone());
        headers.insert(header::CONTENT_LENGTH, self.length.into());
        self.set_etag(headers);
        if let Some(part) = part {
            headers.insert(header::CONTENT_LENGTH, (part.last - part.first + 1).into());
            set(headers, header::CONTENT_RANGE, &range::content_range(part, self.length));
            *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        reply
    }

    fn not_modified(&self) -> Reply {
        let mut reply = Response::new(Body::empty());
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        self.set_etag(reply.headers_mut());
        reply
    }

    fn unsatisfiable(&self, request_id: &str) -> Reply {
        let error = Error::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            format!("the file has {} bytes, and none in this range", self.length),
        );
        let mut reply = reply::problem(&error, request_id);
        set(reply.headers_mut(), header::CONTENT_RANGE, &range::no_range(self.length));
        reply
    }

    fn set_etag(&self, headers: &mut HeaderMap) {
        if let Some(etag) = self.etag {
            set(headers, header::ETAG, etag);
        }
    }
}

/// Sets a header to a text; what is no header's text is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
