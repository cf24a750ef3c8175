//! What commands that serve have in common: log and runtime, signals, chores, and a graceful end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portico_core::config::variables as v;
use portico_core::outbox::delivery::{self, Outbox};
use portico_core::ports::store::StoreError;
use tokio::signal;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::level_filters::LevelFilter;

use super::Failure;
use crate::background::TokioBackground;
use crate::env::LogFormat;
use crate::server::{Handler, STOP_WITHIN, Server, Service};
use crate::store::sqlite::SqliteStore;
use crate::telemetry;

/// How often the outbox is looked at for messages that are due again.
const OUTBOX_EVERY: Duration = Duration::from_secs(2);

/// Looks in a row before the outbox rests all the same, so that a store in trouble is not pestered.
const OUTBOX_LOOKS: usize = 100;

/// How often expired items are removed; they are invisible before.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// Starts the log, and runs to the end.
pub(super) fn run(
    log_format: Option<LogFormat>,
    log_level: LevelFilter,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let _log = telemetry::start_log(log_format, log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // What still runs has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Serves metrics, if there is an address for them.
pub(super) fn start_metrics(address: Option<SocketAddr>) -> Result<(), Failure> {
    let Some(address) = address else { return Ok(()) };
    telemetry::start_metrics(address)
        .map_err(|error| Failure(format!("{} {address}: {error}", v::METRICS_ADDR.name)))
}

/// Serves until it is time to stop, then ends the chores and finishes what goes on after answers. Tells whether everything
/// was finished.
pub(super) async fn serve<H: Handler>(
    server: Server,
    service: Service<H>,
    stop: Stop,
    chores: &[JoinHandle<()>],
    background: &TokioBackground,
) -> bool {
    let finished = server.serve(Arc::new(service), stop.wait()).await;
    chores.iter().for_each(JoinHandle::abort);
    background.finish(STOP_WITHIN).await && finished
}

/// The last words of the log.
pub(super) fn note_stop(finished: bool, closed: Result<(), StoreError>) {
    if let Err(error) = closed {
        tracing::error!(%error, "the store was not closed properly; nothing acknowledged is lost");
    }
    tracing::info!(everything_finished = finished, "stopped");
}

/// The address in a form that a browser on this machine can open.
pub(super) fn reachable_url(address: SocketAddr, secure: bool) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// Keeps promises that are due, for ever.
pub(super) async fn drain_outbox<O: Outbox>(outbox: Arc<O>) {
    loop {
        for _ in 0..OUTBOX_LOOKS {
            if delivery::drain(&outbox).await == 0 {
                break;
            }
        }
        sleep(OUTBOX_EVERY).await;
    }
}

/// Removes what has expired, for ever.
pub(super) async fn purge_expired(store: Arc<SqliteStore>) {
    loop {
        if let Err(error) = store.purge_expired().await {
            tracing::warn!(%error, "expired items could not be removed; it is tried again");
        }
        sleep(PURGE_EVERY).await;
    }
}

/// The signals that ask for a stop.
pub(super) struct Stop {
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
}

impl Stop {
    #[cfg(unix)]
    pub(super) fn listen() -> std::io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("stopping: what runs is finished first; a second signal stops at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn wait(self) {
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_address_can_be_opened() {
        let url = |address: &str| reachable_url(address.parse().unwrap(), false);
        assert_eq!(url("127.0.0.1:3000"), "http://127.0.0.1:3000");
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
    }
}
