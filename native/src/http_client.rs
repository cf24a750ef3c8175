//! Outbound HTTP: Google's keys, leaked-password ranges, and whatever core asks of other services.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::http_client::{HttpClient, HttpError, MAX_ANSWER_BYTES};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// The longest that one exchange may take, from looking the name up to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

type Inner = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// An HTTP/1.1 client that trusts the system's certificate authorities.
#[derive(Debug)]
pub struct HyperClient {
    // Reading the authorities takes milliseconds and memory that most deployments never need.
    inner: OnceCell<Inner>,
    timeout: Duration,
}

impl Default for HyperClient {
    fn default() -> Self {
        Self { inner: OnceCell::new(), timeout: TIMEOUT }
    }
}

impl HyperClient {
    async fn begin(&self, request: http::Request<Bytes>) -> Result<http::Response<Incoming>, HttpError> {
        let client = self.inner.get_or_try_init(|| async { connect() }).await?;
        client.request(request.map(Full::new)).await.map_err(|error| describe(&error))
    }

    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (parts, body) = self.begin(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| HttpError(format!("the answer broke off: {error}")))?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

fn connect() -> Result<Inner, HttpError> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(aws_lc_rs::default_provider())
        .map_err(|error| {
            HttpError(format!(
                "no certificate authorities on this system ({error}): install ca-certificates or set SSL_CERT_FILE"
            ))
        })?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

/// A body as it comes, which may pause for so long.
fn following(body: Incoming, pause: Duration) -> Body {
    Body::stream(stream::try_unfold(body, move |mut body| async move {
        loop {
            match tokio::time::timeout(pause, body.frame()).await {
                Ok(None) => return Ok(None),
                // What is no data is trailers, and they tell nothing.
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some((piece, body)));
                    }
                }
                Ok(Some(Err(error))) => return Err(BodyError::new(describe(&error).0)),
                Err(_) => return Err(BodyError::new(format!("nothing more came within {pause:?}"))),
            }
        }
    }))
}

/// The error with its causes, which hyper leaves out.
fn describe(error: &dyn std::error::Error) -> HttpError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    HttpError(text)
}

#[async_trait]
impl HttpClient for HyperClient {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError(format!("no whole answer within {:?}", self.timeout))),
        }
    }

    async fn stream(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        match tokio::time::timeout(self.timeout, self.begin(request)).await {
            Ok(begun) => Ok(begun?.map(|body| following(body, self.timeout))),
            Err(_) => Err(HttpError(format!("no answer within {:?}", self.timeout))),
        }
    }
}

#[cfg(test)]
mod tests {
    use portico_core::http::body::ReadError;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn serve(answer: Vec<u8>, keep_open: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _read = stream.read(&mut [0; 4096]).await.unwrap();
            let _written = stream.write_all(&answer).await;
            if keep_open {
                std::future::pending::<()>().await;
            }
        });
        format!("http://{address}/")
    }

    async fn get(url: String, timeout: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let client = HyperClient { timeout, ..HyperClient::default() };
        client.send(http::Request::get(url).body(Bytes::new()).unwrap()).await
    }

    #[tokio::test]
    async fn any_status_is_an_answer_and_redirects_are_not_followed() {
        let answer = b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nhi".to_vec();
        let answer = get(serve(answer, false).await, TIMEOUT).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (302, &b"hi"[..]));
    }

    #[tokio::test]
    async fn a_silent_peer_and_an_endless_answer_are_errors() {
        let silent = get(serve(Vec::new(), true).await, Duration::from_millis(100)).await;
        assert!(silent.unwrap_err().0.contains("within"));
        let mut endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        endless.resize(MAX_ANSWER_BYTES + 1024, b'x');
        assert!(get(serve(endless, true).await, TIMEOUT).await.is_err());
    }

    async fn follow(answer: &[u8], keep_open: bool) -> (u16, Result<Bytes, ReadError>) {
        let client = HyperClient { timeout: Duration::from_millis(200), ..HyperClient::default() };
        let url = serve(answer.to_vec(), keep_open).await;
        let answer = client.stream(http::Request::get(url).body(Bytes::new()).unwrap()).await.unwrap();
        (answer.status().as_u16(), answer.into_body().read(usize::MAX, None).await)
    }

    #[tokio::test]
    async fn a_body_follows_however_long_it_is() {
        let mut long = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n".to_vec();
        let head = long.len();
        long.resize(head + 2 * MAX_ANSWER_BYTES, b'x');
        let (status, body) = follow(&long, false).await;
        assert_eq!((status, body.unwrap().len()), (404, 2 * MAX_ANSWER_BYTES));
    }

    #[tokio::test]
    async fn a_body_that_ends_early_or_stops_breaks_off() {
        for keep_open in [false, true] {
            let (status, body) = follow(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", keep_open).await;
            assert_eq!(status, 200);
            assert!(matches!(body, Err(ReadError::Broken(_))), "{body:?}");
        }
        let silent = HyperClient { timeout: Duration::from_millis(100), ..HyperClient::default() };
        let request = http::Request::get(serve(Vec::new(), true).await).body(Bytes::new()).unwrap();
        assert!(silent.stream(request).await.unwrap_err().0.contains("within"));
    }
}
