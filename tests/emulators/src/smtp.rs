//! The mail server: it takes every mail in and sends none. The SMTP dialogue is mailin's; connections, TLS
//! and misbehaviour are here.

mod dialogue;
mod handler;
mod tls;

use crate::calls::Calls;
use crate::faults::Faults;
use crate::mail::{Mailbox, Via};
use dialogue::{Dialogue, End};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) use tls::Certificates;

/// Who may log in.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What all ports of the mail server share.
#[derive(Debug)]
pub(crate) struct MailServer {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) login: Login,
}

impl MailServer {
    /// Serves a port for good.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, via: Via, tls: Option<TlsAcceptor>) {
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                // Out of files, most likely: those who hold them need a moment to let go.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (server, tls) = (Arc::clone(&self), tls.clone());
            // A client that breaks off ends its connection, and nothing else.
            tokio::spawn(async move { server.converse(stream, from, via, tls).await.ok() });
        }
    }

    async fn converse(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        via: Via,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut dialogue = Dialogue::new(self, from.ip(), via);
        match (via, tls) {
            (Via::Tls, Some(tls)) => self.converse_in_tls(&mut dialogue, stream, &tls, true).await,
            (_, tls) => {
                let (stream, end) = dialogue.run(stream, true).await?;
                match (end, tls) {
                    (End::Upgrade, Some(tls)) => {
                        self.converse_in_tls(&mut dialogue, stream, &tls, false).await
                    }
                    (End::Cut, _) => stream.set_zero_linger(),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn converse_in_tls(
        &self,
        dialogue: &mut Dialogue<'_>,
        stream: TcpStream,
        tls: &TlsAcceptor,
        greet: bool,
    ) -> io::Result<()> {
        let stream = tls.accept(stream).await?;
        dialogue.now_in_tls();
        let (mut stream, end) = dialogue.run(stream, greet).await?;
        if end == End::Cut {
            return stream.get_ref().0.set_zero_linger();
        }
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await
    }
}
