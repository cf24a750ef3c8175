//! Outbound HTTP by `fetch`.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use futures::{StreamExt, TryStreamExt};
use http::{Request, Response};
use portico_core::ports::http_client::{HttpClient, HttpError, MAX_ANSWER_BYTES};
use worker::js_sys::Uint8Array;
use worker::send::SendFuture;
use worker::web_sys::{self, RequestCache, RequestRedirect};
use worker::{AbortController, Delay, Fetch, Method};

use super::exchange::{read_headers, write_headers};

/// The longest that one exchange may take, up to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The runtime's HTTP client.
#[derive(Clone, Copy, Debug)]
pub(super) struct FetchHttp;

#[async_trait]
impl HttpClient for FetchHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        SendFuture::new(within_time(request)).await
    }
}

async fn within_time(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let abort = AbortController::default();
    let signal = abort.signal();
    let exchange = pin!(exchange(request, &signal));
    match select(exchange, Delay::from(TIMEOUT)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), _)) => {
            abort.abort();
            Err(HttpError(format!("no whole answer within {TIMEOUT:?}")))
        }
    }
}

async fn exchange(
    request: Request<Bytes>,
    signal: &worker::AbortSignal,
) -> Result<Response<Bytes>, HttpError> {
    let request = outbound(&request).map_err(unsent)?;
    let mut answer = Fetch::Request(request).send_with_signal(signal).await.map_err(unsent)?;
    let mut builder = Response::builder().status(answer.status_code());
    if let Some(headers) = builder.headers_mut() {
        *headers = read_headers(answer.headers());
    }
    let body = read(&mut answer).await?;
    builder.body(body).map_err(|error| HttpError(error.to_string()))
}

async fn read(answer: &mut worker::Response) -> Result<Bytes, HttpError> {
    let broken = |error: worker::Error| HttpError(format!("the answer broke off: {error}"));
    let mut whole = Vec::new();
    if matches!(answer.body(), worker::ResponseBody::Stream(_)) {
        let mut stream = answer.stream().map_err(broken)?.into_stream();
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
    debug_assert_eq!(Method::from(made.method()).as_ref(), request.method().as_str());
    Ok(made.into())
}

fn unsent(error: worker::Error) -> HttpError {
    HttpError(format!("fetch fails: {error}"))
}
