//! The HTTP server: HTTP/1.1 and HTTP/2 on one port, with limits on what a client may hold, and a graceful stop.

mod activity;
mod body;
mod connection;
mod pace;
pub(crate) mod service;
mod stream;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;
pub use service::{Handler, Service};

/// Connections at once, where the system allows that many; for more, room is made.
const MAX_CONNECTIONS: usize = 16_384;

/// Connections that the system keeps for us until we accept them, if it allows that many. Beyond them clients are not
/// answered and try again after a second; tokio's own 128 are few for clients that come back all at once.
const BACKLOG: u32 = 4_096;

/// How long a connection must have been idle to be closed for another: at first, and then ever shorter.
const IDLE_WHEN_FULL: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(10), Duration::from_secs(3), Duration::from_secs(1)];

/// How long each of those is given to make room.
const ROOM_WITHIN: Duration = Duration::from_millis(100);

/// Descriptors kept back for files, the database and outbound connections.
const RESERVED_DESCRIPTORS: u64 = 128;

/// How long a stop waits for requests that are being answered.
pub const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    slots: Arc<Semaphore>,
    /// Tells connections how long they must have been idle to make room for another.
    full: watch::Sender<Duration>,
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
            listener: listen(host, port).await?,
            tls: tls.map(TlsAcceptor::from),
            slots: Arc::new(Semaphore::new(allowed_connections())),
            full: watch::Sender::new(Duration::MAX),
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

    /// Waits for a connection, then for a slot.
    async fn accept(&self) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        match self.listener.accept().await {
            Ok((stream, peer)) => Some((stream, peer, self.slot().await?)),
            Err(error) if is_the_clients_fault(&error) => None,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }

    /// A slot: if none is free, that of a connection which has been idle for long.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        let [.., shortest] = IDLE_WHEN_FULL;
        for idle in IDLE_WHEN_FULL.into_iter().chain(std::iter::repeat(shortest)) {
            self.full.send_replace(idle);
            if let Ok(slot) = timeout(ROOM_WITHIN, Arc::clone(&self.slots).acquire_owned()).await {
                return slot.ok();
            }
        }
        None
    }

    fn connection<H: Handler>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
        service: Arc<Service<H>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let connection = Connection {
            peer,
            service,
            stop: self.stop.clone(),
            full: self.full.subscribe(),
            activity: Arc::default(),
        };
        let tls = self.tls.clone();
        async move {
            connection.serve(stream, tls).await;
            drop(slot);
        }
    }
}

/// Listens at the first address of a host at which that is possible.
async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for old connections; on Windows it would mean something else.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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

#[cfg(test)]
mod tests;
