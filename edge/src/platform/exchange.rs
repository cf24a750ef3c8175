//! The runtime's requests and answers as core's. Bodies of known size cross over whole: a stream costs more than most
//! requests do in all.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use portico_core::http::body::{Body, BodyError};
use portico_core::http::client_addr::ClientAddr;
use portico_core::http::router::MAX_URI_BYTES;
use wasm_bindgen_futures::JsFuture;
use worker::js_sys::Uint8Array;
use worker::send::SendWrapper;
use worker::web_sys;
use worker::{ByteStream, Error, FixedLengthStream, Headers, ResponseBuilder, Result};

use crate::headers;

/// Bodies up to this length are read at once, before anything is known of the request.
const AT_ONCE_BYTES: u64 = 64 * 1024;

/// By which the platform names the client; nobody else can set it.
const CLIENT: &str = "cf-connecting-ip";

/// A request as core takes it.
pub(super) async fn receive(request: web_sys::Request) -> Result<Request<Body>> {
    let headers = read_headers(&Headers(request.headers()));
    let client = headers.get(CLIENT).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut made = Request::builder()
        .method(request.method().as_str())
        .uri(beginning(&request.url()))
        .extension(ClientAddr(client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
        .body(Body::empty())
        .map_err(|error| Error::RustError(error.to_string()))?;
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    *made.headers_mut() = headers;
    add_host(&mut made);
    *made.body_mut() = read_body(&request, length).await?;
    Ok(made)
}

/// What is read of a URL: enough for core to see that it is too long, and no more than `http` takes.
fn beginning(url: &str) -> &str {
    url.get(..4 * MAX_URI_BYTES).unwrap_or(url)
}

async fn read_body(request: &web_sys::Request, length: Option<u64>) -> Result<Body> {
    let Some(body) = request.body() else { return Ok(Body::empty()) };
    if length.is_none_or(|length| length > AT_ONCE_BYTES) {
        return Ok(Body::stream(pieces(ByteStream::from(body))));
    }
    Ok(match JsFuture::from(request.array_buffer()?).await {
        Ok(whole) => Body::from(Uint8Array::new(&whole).to_vec()),
        Err(error) => {
            let broken = BodyError::new(Error::from(error).to_string());
            Body::stream(futures::stream::iter([Err(broken)]))
        }
    })
}

/// Bytes to come, as core takes them.
pub(super) fn pieces(stream: ByteStream) -> Pieces {
    Pieces(SendWrapper::new(stream))
}

/// A stream of the runtime's, which has one thread.
pub(super) struct Pieces(SendWrapper<ByteStream>);

impl Stream for Pieces {
    type Item = std::result::Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let broken = |error: Error| BodyError::new(error.to_string());
        self.0.poll_next_unpin(context).map(|piece| piece.map(|piece| piece.map(Bytes::from).map_err(broken)))
    }
}

/// The URL names the host if no header does.
fn add_host<B>(request: &mut Request<B>) {
    if let (false, Some(authority)) = (request.headers().contains_key(HOST), request.uri().authority())
        && let Ok(value) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, value);
    }
}

/// An answer as the runtime takes it.
pub(super) fn answer(answer: Response<Body>) -> Result<worker::Response> {
    let (parts, body) = answer.into_parts();
    let builder = ResponseBuilder::new()
        .with_status(parts.status.as_u16())
        .with_headers(write_headers(&parts.headers)?);
    Ok(match body {
        Body::Empty => builder.empty(),
        Body::Full(bytes) => builder.fixed(bytes.into()),
        Body::Stream(pieces) => {
            let broken = |error: BodyError| Error::RustError(error.to_string());
            let pieces = pieces.map(move |piece| piece.map(Vec::from).map_err(broken));
            let length =
                parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            match length {
                Some(length) => {
                    let fixed = FixedLengthStream::wrap(pieces, length);
                    builder.stream(worker::worker_sys::FixedLengthStream::from(fixed).readable())
                }
                None => builder.from_stream(pieces)?,
            }
        }
    })
}

/// Headers as core takes them; the runtime has joined those of one name.
pub(super) fn read_headers(headers: &Headers) -> HeaderMap {
    let mut read = HeaderMap::new();
    for (name, value) in headers.entries() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), headers::read(&value)) {
            read.append(name, value);
        }
    }
    read
}

/// Headers as the runtime takes them.
pub(super) fn write_headers(headers: &HeaderMap) -> Result<Headers> {
    let written = Headers::new();
    for (name, value) in headers {
        written.append(name.as_str(), &headers::write(value))?;
    }
    Ok(written)
}
