//! Answering with a file's bytes: whole, in part, or not at all because the client has them.

use base16ct::lower::encode_string as hex;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::App;
use crate::error::Error;
use crate::files::model::File;
use crate::files::{refuse, sniff};
use crate::http::body::Body;
use crate::http::disposition;
use crate::http::range::{self, Wanted};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::ports::blobs::{Blob, ByteRange};

/// What a browser may do with a file that it opens all the same: nothing.
static SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// Answers with a file, as the request's conditions and range want it.
///
/// # Errors
/// 404 if there are no bytes, 503. That a range is not there is an answer, with the length in `Content-Range`.
pub async fn answer(app: &App, request: &Request, file: &File) -> Result<Reply, Error> {
    let etag = file.etag();
    if etag.as_deref().is_some_and(|etag| range::is_known(&request.headers, etag)) {
        return Ok(not_modified(etag.as_deref()));
    }
    match range::wanted(&request.headers, file.size, etag.as_deref()) {
        Wanted::Whole => {
            let blob = open(app, file, None).await?;
            Ok(with_bytes(file, StatusCode::OK, blob.info.length, blob.body))
        }
        Wanted::Part(part) => {
            let blob = open(app, file, Some(part)).await?;
            let mut reply =
                with_bytes(file, StatusCode::PARTIAL_CONTENT, part.last - part.first + 1, blob.body);
            set(reply.headers_mut(), header::CONTENT_RANGE, &range::content_range(part, blob.info.length));
            Ok(reply)
        }
        Wanted::Unsatisfiable => Ok(unsatisfiable(request, file.size)),
    }
}

/// Opens a file's bytes, or a part of them, if they are those that it was completed with.
///
/// # Errors
/// 404, 503.
pub async fn open(app: &App, file: &File, part: Option<ByteRange>) -> Result<Blob, Error> {
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let blob = app.ports.blobs.get(&key, part).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    let same_hash = blob.info.sha256.is_none_or(|hash| file.hash.is_empty() || hex(&hash) == file.hash);
    if same_hash && blob.info.length == file.size {
        return Ok(blob);
    }
    // A presigned upload that does not pin the hash could come a second time.
    tracing::error!(file_id = file.file_id, "a file's bytes are not those that it was completed with");
    Err(Error::not_found())
}

fn with_bytes(file: &File, status: StatusCode, length: u64, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    set(headers, header::CONTENT_TYPE, media_type(file));
    set(headers, header::CONTENT_DISPOSITION, &disposition::attachment(&file.name));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX.clone());
    if let Some(etag) = file.etag() {
        set(headers, header::ETAG, &etag);
    }
    reply
}

/// The type that a file is served with.
#[must_use]
pub fn media_type(file: &File) -> &str {
    if sniff::media_type(&file.media_type).is_some() { &file.media_type } else { sniff::UNKNOWN }
}

fn not_modified(etag: Option<&str>) -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NOT_MODIFIED;
    if let Some(etag) = etag {
        set(reply.headers_mut(), header::ETAG, etag);
    }
    reply
}

fn unsatisfiable(request: &Request, length: u64) -> Reply {
    let error = Error::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        format!("the file has {length} bytes, and none in this range"),
    );
    let mut reply = reply::problem(&error, &request.id);
    set(reply.headers_mut(), header::CONTENT_RANGE, &range::no_range(length));
    reply
}

/// Sets a header to a text; what is no header's text is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
