//! One connection: HTTP/1.1 or HTTP/2, over TLS or not, from its first byte to its last.
//!
//! Between two requests an HTTP/1.1 connection soon gives back the memory that it takes to exchange messages, so that
//! thousands of clients that keep theirs open cost little more than their sockets.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portico_core::http::body::Body;
use portico_core::http::router::MAX_HEADER_BYTES;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Busy};
use super::pace::Paced;
use super::service::{Handler, Service};
use super::stream::{ClientStream, Protocol};

/// How long a client may take from connecting to the end of its first request's head, TLS included.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// How long it may be silent between two requests.
const NEXT_REQUEST_WITHIN: Duration = Duration::from_secs(75);

/// How long it may take for the head of a further request.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// After how long a connection between two requests gives back its memory: soon, so that of thousands of clients that
/// come at once only few take it at a time. To make it anew is a few allocations.
const REST_AFTER: Duration = Duration::from_millis(100);

/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Beyond the header limit, so that most offenders still get a proper answer.
const READ_BUFFER_BYTES: usize = 2 * MAX_HEADER_BYTES;

/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 100;

/// A connection to a client.
pub(super) struct Connection<H> {
    pub(super) peer: SocketAddr,
    pub(super) service: Arc<Service<H>>,
    /// The server stops.
    pub(super) stop: CancellationToken,
    /// How long a connection must have been idle to make room for another.
    pub(super) full: watch::Receiver<Duration>,
    pub(super) activity: Arc<Activity>,
}

/// How an exchange of messages ended.
enum Ended<S> {
    /// The client or we are done.
    Done(hyper::Result<()>),
    /// It rests, and goes on when the client does.
    AtRest(ClientStream<S>),
}

impl<H: Handler> Connection<H> {
    /// Answers what the client asks, until one of them leaves.
    pub(super) async fn serve(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Without it, small answers merely wait a little.
        let _set = stream.set_nodelay(true);
        tokio::select! {
            () = self.run(stream, tls) => {}
            () = self.overdue() => {}
        }
    }

    async fn run(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let stream = Paced::new(stream);
        match tls {
            None => self.exchange(stream).await,
            Some(tls) => match Box::pin(tls.accept(stream)).await {
                Ok(stream) => self.exchange(Box::new(stream)).await,
                Err(error) => tracing::debug!(peer = %self.peer, %error, "no TLS connection came about"),
            },
        }
    }

    async fn exchange(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let mut stream = ClientStream::new(stream, Arc::clone(&self.activity));
        let protocol = tokio::select! {
            protocol = stream.protocol() => protocol,
            () = self.must_end() => return,
        };
        let ended = match protocol {
            Ok(Protocol::Http1) => self.http1(stream).await,
            Ok(Protocol::Http2) => self.http2(stream).await,
            Err(error) => return tracing::debug!(peer = %self.peer, %error, "a connection broke off"),
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer, %error, "a connection broke off");
        }
    }

    async fn http1<S>(&self, mut stream: ClientStream<S>) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        loop {
            match self.messages(stream).await {
                Ended::Done(ended) => return ended,
                Ended::AtRest(resting) => stream = resting,
            }
            let goes_on = tokio::select! {
                waited = timeout(NEXT_REQUEST_WITHIN, stream.wait()) => matches!(waited, Ok(Ok(true))),
                () = self.must_end() => false,
            };
            if !goes_on {
                // Who has gone already does not hear it.
                let _told = stream.shutdown().await;
                return Ok(());
            }
        }
    }

    /// Exchanges messages of HTTP/1.1 until the end, or a pause.
    async fn messages<S>(&self, stream: ClientStream<S>) -> Ended<S>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let builder = http1_builder();
        // What it takes for messages is on the heap only while there are some.
        let mut exchange = Box::new(builder.serve_connection(TokioIo::new(stream), self.answers()));
        tokio::select! {
            ended = &mut *exchange => Ended::Done(ended),
            () = self.must_end() => {
                Pin::new(&mut *exchange).graceful_shutdown();
                Ended::Done(exchange.await)
            }
            () = self.at_rest() => {
                let parts = exchange.into_parts();
                let mut stream = parts.io.into_inner();
                stream.unread(&parts.read_buf);
                Ended::AtRest(stream)
            }
        }
    }

    async fn http2<S>(&self, stream: ClientStream<S>) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let builder = http2_builder();
        let mut exchange = Box::pin(builder.serve_connection(TokioIo::new(stream), self.answers()));
        tokio::select! {
            ended = exchange.as_mut() => ended,
            () = self.must_end() => {
                exchange.as_mut().graceful_shutdown();
                exchange.await
            }
        }
    }

    /// What answers the requests of this connection.
    fn answers(
        &self,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send,
    > + use<H> {
        let (service, activity, peer) =
            (Arc::clone(&self.service), Arc::clone(&self.activity), self.peer.ip());
        service_fn(move |request: Request<Incoming>| {
            let (service, busy) = (Arc::clone(&service), activity.begin());
            // hyper keeps room for it as long as the connection lives: a box takes it only while there is a request.
            Box::pin(async move { service.answer(request, peer).await.map(|answer| hold(busy, answer)) })
        })
    }

    /// Completes when it has been between two requests for a while.
    async fn at_rest(&self) {
        loop {
            sleep(REST_AFTER).await;
            if self.activity.is_at_rest_for(REST_AFTER) {
                return;
            }
        }
    }

    /// Completes when the server stops, or others need the room; what is being answered then is finished first.
    async fn must_end(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.must_make_room() => {}
        }
    }

    /// Completes when there is no room for others, and this connection has not been used for long.
    async fn must_make_room(&self) {
        let mut full = self.full.clone();
        full.mark_unchanged();
        while full.changed().await.is_ok() {
            let idle = *full.borrow_and_update();
            if self.activity.idle_for().is_some_and(|since| since >= idle) {
                return;
            }
        }
        pending().await
    }

    /// Completes if the client does not begin in time, which is shorter where others need the room; covers what hyper's
    /// timeouts do not: TLS, and the bytes by which the protocol is recognised.
    async fn overdue(&self) {
        tokio::select! {
            () = sleep(FIRST_REQUEST_WITHIN) => {}
            () = self.must_make_room() => {}
        }
        if self.activity.has_begun() {
            pending::<()>().await;
        }
    }
}

/// An answer in pieces is being given until its last one.
fn hold(busy: Busy, answer: Response<Body>) -> Response<Body> {
    answer.map(|body| match body {
        Body::Stream(pieces) => Body::stream(pieces.inspect(move |_| {
            let _held = &busy;
        })),
        at_once => at_once,
    })
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(READ_BUFFER_BYTES);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    builder
}
