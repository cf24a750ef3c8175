//! A connection that is kept alive, and made again when it is lost.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection came about.
    Refused,
    /// The connection broke off.
    Reset,
    /// It took too long.
    Timeout,
}

/// What became of a request.
pub type Outcome = Result<Answer, Failure>;

/// One HTTP/1.1 connection to a server. Requests on it follow one another.
#[derive(Debug)]
pub struct Connection {
    server: SocketAddr,
    source: Option<IpAddr>,
    patience: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection that is made with the first request. Nothing is waited for longer than `patience`.
    #[must_use]
    pub fn new(server: SocketAddr, patience: Duration) -> Self {
        Self { server, source: None, patience, sender: None }
    }

    /// The same, from a given address of this machine: each has ports of its own.
    #[must_use]
    pub fn from(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Behavior
    /// A connection that the server has closed in the meantime is made again; one that broke off is no longer used.
    /// Requests name their target by its path alone; `Host` is added.
    ///
    /// # Errors
    /// [`Failure`]. The request may have been received all the same.
    pub async fn exchange(&mut self, request: Request<Bytes>) -> Outcome {
        let outcome =
            timeout(self.patience, self.try_exchange(request)).await.unwrap_or(Err(Failure::Timeout));
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    /// Whether a connection is open, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    async fn try_exchange(&mut self, mut request: Request<Bytes>) -> Outcome {
        let host = self.server.to_string().parse().map_err(|_| Failure::Refused)?;
        request.headers_mut().entry(header::HOST).or_insert(host);
        let sender = self.ready().await?;
        let answer = sender.send_request(request.map(Full::new)).await.map_err(|_| Failure::Reset)?;
        read(answer).await
    }

    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let is_ready = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let sender = if is_ready { self.sender.take() } else { None };
        let sender = match sender {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        Ok(self.sender.insert(sender))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = open(self.server, self.source).await.map_err(|_| Failure::Refused)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Reset)?;
        // How it ends is told to whoever waits for an answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

/// Opens a plain connection, from a given address if there is one.
///
/// # Errors
/// The system's.
pub async fn open(server: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn read(answer: http::Response<Incoming>) -> Outcome {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Failure::Reset)?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}
