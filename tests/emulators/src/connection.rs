//! Connections to the HTTP endpoint, which a rule may cut.

use crate::front::Front;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A client's connection, as seen from the call that it carries.
#[derive(Debug, Default)]
pub(crate) struct Connection(Notify);

impl Connection {
    /// Cuts the connection by force; whoever asked is not heard of again.
    pub(crate) async fn cut<T>(&self) -> T {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Serves the endpoint for good.
pub(crate) async fn serve(listener: TcpListener, front: Arc<Front>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely: those who hold them need a moment to let go.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(carry(stream, Arc::clone(&front)));
    }
}

async fn carry(stream: TcpStream, front: Arc<Front>) {
    stream.set_nodelay(true).ok();
    let connection = Arc::new(Connection::default());
    let service = service_fn(|request| {
        let (front, connection) = (Arc::clone(&front), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(front.answer(request, &connection).await) }
    });
    let mut http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A client that breaks off, or speaks no HTTP, ends its connection, and nothing else.
        _ = &mut http => {}
        () = connection.0.notified() => {
            http.into_parts().io.into_inner().set_zero_linger().ok();
        }
    }
}
