//! Outbound HTTP by `fetch`.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, Stream, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Request, Response};
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::http_client::{HttpClient, HttpError, MAX_ANSWER_BYTES};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use worker::js_sys::{self, Uint8Array};
use worker::send::SendFuture;
use worker::web_sys::{self, RequestCache, RequestRedirect};
use worker::{AbortController, AbortSignal, ByteStream, Delay, Headers};

use super::exchange::{self, read_headers, write_headers};

/// The longest that one exchange may take, up to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The slowest body that is waited for.
const SLOWEST_BYTES_PER_MS: u64 = 1024;

/// The runtime's HTTP client.
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchHttp;

#[async_trait]
impl HttpClient for FetchHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        SendFuture::new(async {
            let longest = TIMEOUT + Duration::from_millis(request.body().len() as u64 / SLOWEST_BYTES_PER_MS);
            within(longest, |signal| async move {
                let answer = exchange(request, &signal).await?;
                let body = read(&answer).await?;
                Ok(answer.map(|_| body))
            })
            .await
        })
        .await
    }

    async fn stream(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        SendFuture::new(async {
            let answer = within(TIMEOUT, |signal| async move { exchange(request, &signal).await }).await?;
            let (parts, answer) = answer.into_parts();
            let body = match answer.body() {
                Some(pieces) => Body::stream(timed(exchange::pieces(ByteStream::from(pieces)))),
                None => Body::empty(),
            };
            Ok(Response::from_parts(parts, body))
        })
        .await
    }
}

/// Ends work that takes too long.
async fn within<T, F>(longest: Duration, work: impl FnOnce(AbortSignal) -> F) -> Result<T, HttpError>
where
    F: Future<Output = Result<T, HttpError>>,
{
    let abort = AbortController::default();
    let work = pin!(work(abort.signal()));
    match select(work, Delay::from(longest)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), _)) => {
            abort.abort();
            Err(HttpError(format!("no answer within {longest:?}")))
        }
    }
}

/// Pieces that break off when one is too long in coming.
fn timed(
    pieces: impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        let late = SendFuture::new(Delay::from(TIMEOUT));
        let piece = match select(pieces.next(), late).await {
            Either::Left((piece, _)) => piece?,
            Either::Right(((), _)) => return Some((Err(BodyError::new("the answer does not go on")), None)),
        };
        Some((piece, Some(pieces)))
    })
}

/// Sends a request, and gives the answer's head with its body still to be read.
async fn exchange(
    request: Request<Bytes>,
    signal: &AbortSignal,
) -> Result<Response<web_sys::Response>, HttpError> {
    let init = outbound(&request, signal).map_err(unsent)?;
    let global: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(global.fetch_with_str_and_init(&request.uri().to_string(), &init)).await;
    let answer: web_sys::Response = answer.map_err(|error| unsent(error.into()))?.unchecked_into();
    let mut builder = Response::builder().status(answer.status());
    if let Some(headers) = builder.headers_mut() {
        *headers = read_headers(&Headers(answer.headers()));
    }
    builder.body(answer).map_err(|error| HttpError(error.to_string()))
}

fn outbound(request: &Request<Bytes>, signal: &AbortSignal) -> worker::Result<web_sys::RequestInit> {
    let init = web_sys::RequestInit::new();
    init.set_method(request.method().as_str());
    init.set_redirect(RequestRedirect::Manual);
    // What is asked of a service is for this caller alone.
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(signal));
    init.set_headers(write_headers(request.headers())?.0.as_ref());
    if !request.body().is_empty() || request.method() == http::Method::POST {
        init.set_body(Uint8Array::from(&request.body()[..]).as_ref());
    }
    Ok(init)
}

/// Reads a body: in one call if its length is told, which costs a fraction of a stream.
async fn read(answer: &Response<web_sys::Response>) -> Result<Bytes, HttpError> {
    let broken = |error: worker::Error| HttpError(format!("the answer broke off: {error}"));
    let too_long = || HttpError(format!("an answer of more than {MAX_ANSWER_BYTES} bytes"));
    let Some(body) = answer.body().body() else { return Ok(Bytes::new()) };
    match told_length(answer.headers()) {
        Some(length) if length > MAX_ANSWER_BYTES => Err(too_long()),
        Some(_) => {
            let whole = answer.body().array_buffer().map_err(|error| broken(error.into()))?;
            let whole = JsFuture::from(whole).await.map_err(|error| broken(error.into()))?;
            Ok(Bytes::from(Uint8Array::new(&whole).to_vec()))
        }
        None => {
            let mut pieces = ByteStream::from(body);
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await {
                whole.append(&mut piece.map_err(broken)?);
                if whole.len() > MAX_ANSWER_BYTES {
                    return Err(too_long());
                }
            }
            Ok(Bytes::from(whole))
        }
    }
}

/// The length of a body, unless it comes in a coding, of which it would be the length.
fn told_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    length.filter(|_| !headers.contains_key(CONTENT_ENCODING))
}

fn unsent(error: worker::Error) -> HttpError {
    HttpError(format!("fetch fails: {error}"))
}
