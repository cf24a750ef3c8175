//! What commands that serve have in common: log and runtime, signals, chores, and a graceful end.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use portico_core::config::variables as v;
use portico_core::outbox::delivery::{self, Outbox};
use portico_core::ports::store::StoreError;
use tokio::signal;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::level_filters::LevelFilter;

use super::Failure;
use crate::background::TokioBackground;
use crate::env::LogFormat;
use crate::priority;
use crate::server::{Handler, STOP_WITHIN, Server, Service};
use crate::store::sqlite::{self, DatabaseError, SqliteStore};
use crate::telemetry;

/// How often the outbox is looked at for messages that are due again.
const OUTBOX_EVERY: Duration = Duration::from_secs(2);

/// Looks in a row before the outbox rests all the same, so that a store in trouble is not pestered.
const OUTBOX_LOOKS: usize = 100;

/// How often expired items are removed; they are invisible before.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// When the embedded store is looked through for damage: not at once, so that a start is followed by service, and then daily.
const INSPECTION_AFTER: Duration = Duration::from_secs(600);
const INSPECTION_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

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

/// Looks for damage that no request notices, and reports it, for ever.
pub(super) async fn look_for_damage<F>(check: impl Fn() -> F)
where
    F: Future<Output = Result<(), DatabaseError>>,
{
    sleep(INSPECTION_AFTER).await;
    loop {
        match check().await {
            Ok(()) => tracing::info!("the database was looked through, and is sound"),
            Err(error) => {
                metrics::counter!("portico_damage_found_total").increment(1);
                tracing::error!(%error, "the database is damaged, or cannot be read: see `portico doctor`");
            }
        }
        sleep(INSPECTION_EVERY).await;
    }
}

/// Reads the whole database of a data directory, on a thread behind those that answer requests.
pub(super) async fn check_at_leisure(data_dir: PathBuf) -> Result<(), DatabaseError> {
    let failed = |source| DatabaseError::Io { path: data_dir.clone(), source };
    let (done, outcome) = oneshot::channel();
    let begun = thread::Builder::new().name("inspection".to_owned()).spawn({
        let data_dir = data_dir.clone();
        move || {
            priority::lower();
            // Who waited may be gone: the server stops.
            let _gone = done.send(sqlite::check(&data_dir));
        }
    });
    begun.map_err(failed)?;
    outcome.await.unwrap_or_else(|ended| Err(failed(io::Error::other(ended))))
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::SystemClock;
    use crate::entropy::SystemEntropy;

    #[tokio::test(start_paused = true)]
    async fn damage_is_looked_for_after_a_start_and_daily_whatever_was_found() {
        let looks = AtomicUsize::new(0);
        let damaged = || DatabaseError::Damaged { file: "portico.db".into(), detail: "a test".to_owned() };
        let looking = look_for_damage(async || {
            let odd = looks.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            if odd { Ok(()) } else { Err(damaged()) }
        });
        let counting = async {
            let day = 24 * 60;
            for (minutes, expected) in [(9, 0), (2, 1), (day - 3, 1), (3, 2), (day, 3)] {
                sleep(Duration::from_secs(60 * minutes)).await;
                assert_eq!(looks.load(Ordering::SeqCst), expected, "after {minutes} minutes more");
            }
        };
        tokio::select! {
            () = looking => {}
            () = counting => {}
        }
    }

    #[tokio::test]
    async fn a_check_at_leisure_finds_what_is_wrong_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        check_at_leisure(dir.path().to_owned()).await.expect("a database in use is sound");
        store.close().await.unwrap();
        std::fs::write(dir.path().join(sqlite::DATABASE), "no database").unwrap();
        let found = check_at_leisure(dir.path().to_owned()).await;
        assert!(found.is_err(), "{found:?}");
    }

    #[test]
    fn the_printed_address_can_be_opened() {
        let url = |address: &str| reachable_url(address.parse().unwrap(), false);
        assert_eq!(url("127.0.0.1:3000"), "http://127.0.0.1:3000");
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
    }
}
