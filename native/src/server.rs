//! The HTTP server: HTTP/1.1 and HTTP/2 on one port, with limits on what a client may hold, and a graceful stop.

mod body;
pub(crate) mod service;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use portico_core::http::router::MAX_HEADER_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use service::{Handler, Service};

/// How long a client may take from connecting to the end of its first request's head, TLS included.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// How long it may take for each further head; the time between two requests counts.
const NEXT_REQUEST_WITHIN: Duration = Duration::from_secs(75);

/// How long it may refuse to take more of an answer.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Beyond the header limit, so that most offenders still get a proper answer.
const READ_BUFFER_BYTES: usize = 2 * MAX_HEADER_BYTES;

/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 100;

/// Connections at once, where the system allows that many; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;

/// Descriptors kept back for files, the database and outbound connections.
const RESERVED_DESCRIPTORS: u64 = 128;

/// How long a stop waits for requests that are being answered.
pub const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is taken, unknown or not allowed.
    pub async fn bind(host: &str, port: u16, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind((host, port)).await?,
            tls: tls.map(TlsAcceptor::from),
            slots: Arc::new(Semaphore::new(allowed_connections())),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` completes; then accepts nothing more and finishes what runs, for [`STOP_WITHIN`] at
    /// most. Tells whether everything was finished.
    pub async fn serve<H: Handler>(self, service: Arc<Service<H>>, stop: impl Future<Output = ()>) -> bool {
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut stop => break,
            };
            if let Some((stream, peer, slot)) = accepted {
                self.connections.spawn(self.connection(stream, peer, slot, Arc::clone(&service)));
            }
        }
        drop(self.listener);
        self.stop.cancel();
        self.connections.close();
        tokio::time::timeout(STOP_WITHIN, self.connections.wait()).await.is_ok()
    }

    /// Waits for a free slot, then for a connection.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, peer)) => Some((stream, peer, slot)),
            Err(error) if is_the_clients_fault(&error) => None,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }

    fn connection<H: Handler>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
        service: Arc<Service<H>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let connection = Connection { peer, service, stop: self.stop.clone(), begun: Arc::default() };
        let tls = self.tls.clone();
        async move {
            // Without it, small answers merely wait a little.
            let _set = stream.set_nodelay(true);
            tokio::select! {
                () = connection.run(stream, tls) => {}
                () = connection.overdue() => {}
            }
            drop(slot);
        }
    }
}

struct Connection<H> {
    peer: SocketAddr,
    service: Arc<Service<H>>,
    stop: CancellationToken,
    begun: Arc<AtomicBool>,
}

impl<H: Handler> Connection<H> {
    async fn run(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        match tls {
            None => self.exchange(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.exchange(stream).await,
                Err(error) => tracing::debug!(peer = %self.peer, %error, "no TLS connection came about"),
            },
        }
    }

    async fn exchange(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_WITHIN));
        let (service, begun, peer) = (Arc::clone(&self.service), Arc::clone(&self.begun), self.peer.ip());
        let answer = service_fn(move |request| {
            begun.store(true, Ordering::Relaxed);
            let service = Arc::clone(&service);
            async move { service.answer(request, peer).await }
        });
        let builder = protocols();
        let mut exchange = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), answer));
        let ended = tokio::select! {
            ended = exchange.as_mut() => ended,
            () = self.stop.cancelled() => {
                exchange.as_mut().graceful_shutdown();
                exchange.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer, error, "a connection broke off");
        }
    }

    /// Completes if the client does not begin in time; covers what hyper's timeouts do not: TLS, and the bytes by
    /// which the protocol is recognised.
    async fn overdue(&self) {
        sleep(FIRST_REQUEST_WITHIN).await;
        if self.begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST_WITHIN)
        .max_buf_size(READ_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    builder
}

fn is_the_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Raises the limit of open descriptors as far as the system lets us, and stays below it.
#[cfg(unix)]
fn allowed_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = MAX_CONNECTIONS as u64 + RESERVED_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let usable = if current < raised
        && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok()
    {
        raised
    } else {
        current
    };
    let connections = usable.saturating_sub(RESERVED_DESCRIPTORS).max(RESERVED_DESCRIPTORS);
    usize::try_from(connections).map_or(MAX_CONNECTIONS, |connections| connections.min(MAX_CONNECTIONS))
}

#[cfg(not(unix))]
fn allowed_connections() -> usize {
    MAX_CONNECTIONS
}
