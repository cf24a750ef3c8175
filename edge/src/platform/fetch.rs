//! Outbound HTTP by `fetch`.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{self, Stream, StreamExt};
use http::{Request, Response};
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::http_client::{HttpClient, HttpError, MAX_ANSWER_BYTES};
use worker::js_sys::Uint8Array;
use worker::send::SendFuture;
use worker::web_sys::{self, RequestCache, RequestRedirect};
use worker::{AbortController, AbortSignal, Delay, Fetch};

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
                let mut answer = exchange(request, &signal).await?;
                let body = read(answer.body_mut()).await?;
                Ok(answer.map(|_| body))
            })
            .await
        })
        .await
    }

    async fn stream(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        SendFuture::new(async {
            let answer = within(TIMEOUT, |signal| async move { exchange(request, &signal).await }).await?;
            let (parts, mut answer) = answer.into_parts();
            let body = match answer.stream() {
                Ok(pieces) => Body::stream(timed(exchange::pieces(pieces))),
                Err(_) => Body::empty(),
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
) -> Result<Response<worker::Response>, HttpError> {
    let request = outbound(&request).map_err(unsent)?;
    let answer = Fetch::Request(request).send_with_signal(signal).await.map_err(unsent)?;
    let mut builder = Response::builder().status(answer.status_code());
    if let Some(headers) = builder.headers_mut() {
        *headers = read_headers(answer.headers());
    }
    builder.body(answer).map_err(|error| HttpError(error.to_string()))
}

async fn read(answer: &mut worker::Response) -> Result<Bytes, HttpError> {
    let broken = |error: worker::Error| HttpError(format!("the answer broke off: {error}"));
    let mut whole = Vec::new();
    if matches!(answer.body(), worker::ResponseBody::Stream(_)) {
        let mut stream = answer.stream().map_err(broken)?;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(broken)?;
            if whole.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(HttpError(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
            }
            // Most answers come in one piece.
            if whole.is_empty() {
                whole = piece;
            } else {
                whole.extend_from_slice(&piece);
            }
        }
    }
    Ok(Bytes::from(whole))
}

fn outbound(request: &Request<Bytes>) -> worker::Result<worker::Request> {
    let init = web_sys::RequestInit::new();
    init.set_method(request.method().as_str());
    init.set_redirect(RequestRedirect::Manual);
    // What is asked of a service is for this caller alone.
    init.set_cache(RequestCache::NoStore);
    init.set_headers(write_headers(request.headers())?.0.as_ref());
    if !request.body().is_empty() || request.method() == http::Method::POST {
        init.set_body(Uint8Array::from(&request.body()[..]).as_ref());
    }
    let made = web_sys::Request::new_with_str_and_init(&request.uri().to_string(), &init)?;
    Ok(made.into())
}

fn unsent(error: worker::Error) -> HttpError {
    HttpError(format!("fetch fails: {error}"))
}
