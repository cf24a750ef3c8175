//! `portico serve`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portico_core::App;
use portico_core::config::{Environment, variables as v};
use tokio::signal;
use tokio::time::sleep;

use super::{Failure, say};
use crate::dev::{self, DevOutbox};
use crate::env::{Config, Host, MailChoice, SmsChoice, Storage};
use crate::host::{self, OUTBOX};
use crate::server::{STOP_WITHIN, Server, Service};
use crate::store::sqlite::SqliteStore;
use crate::telemetry;

/// How often the outbox is looked at for messages that are due again.
const OUTBOX_EVERY: Duration = Duration::from_secs(2);

/// Looks in a row before the outbox rests all the same, so that a store in trouble is not pestered.
const OUTBOX_LOOKS: usize = 100;

/// How often expired items are removed; they are invisible before.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// Serves until the process is told to stop.
pub(super) fn run() -> Result<(), Failure> {
    let config = Config::load()?;
    let _log = telemetry::start_log(config.host.log_format, config.host.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(config));
    // What still runs has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(Config { settings, host }: Config) -> Result<(), Failure> {
    // Before anything else, so that a signal during start-up is not lost.
    let stop = Stop::listen()?;
    if let Some(address) = host.metrics {
        telemetry::start_metrics(address)
            .map_err(|error| Failure(format!("{} {address}: {error}", v::METRICS_ADDR.name)))?;
    }
    let development = settings.environment == Environment::Development;
    let running = host::start(settings, host.clone()).await?;
    let server = bind(&host).await?;
    announce(&server, &host, development)?;
    let outbox = development.then(|| DevOutbox::new(host.data_dir.join(OUTBOX)));
    let service = Service { app: Arc::clone(&running.app), outbox, trusted_proxies: host.trusted_proxies };
    let mut chores = vec![tokio::spawn(drain_outbox(Arc::clone(&running.app)))];
    // DynamoDB removes what has expired by itself.
    chores.extend(running.embedded.clone().map(|store| tokio::spawn(purge_expired(store))));
    let finished = server.serve(Arc::new(service), stop.wait()).await;
    chores.iter().for_each(tokio::task::JoinHandle::abort);
    let done = running.background.finish(STOP_WITHIN).await;
    if let Err(error) = running.close().await {
        tracing::error!(%error, "the store was not closed properly; nothing acknowledged is lost");
    }
    tracing::info!(everything_finished = finished && done, "stopped");
    Ok(())
}

async fn bind(host: &Host) -> Result<Server, Failure> {
    Server::bind(&host.listen_host, host.listen_port, host.tls.clone()).await.map_err(|error| {
        Failure(format!(
            "{}:{} cannot be listened on: {error}; set APP_HOST or APP_PORT to another",
            host.listen_host, host.listen_port
        ))
    })
}

/// Tells whoever started it where everything is.
fn announce(server: &Server, host: &Host, development: bool) -> Result<(), Failure> {
    let url = reachable_url(server.address()?, server.is_secure());
    let data = whereabouts(host)?;
    say(format_args!("Portico {} listens on {url}", env!("CARGO_PKG_VERSION")));
    say(format_args!("  data    {data}"));
    if development {
        say(format_args!("  API     {url}/docs"));
        let outbox = matches!(host.mail, MailChoice::Outbox(_)) || host.sms == SmsChoice::Outbox;
        if outbox {
            say(format_args!("  outbox  {url}{}", dev::PATH));
        }
        say("  mode    development (APP_ENV=production for serving people)");
    }
    tracing::info!(url, data, development, "listening");
    Ok(())
}

/// Where items and files are.
fn whereabouts(host: &Host) -> Result<String, Failure> {
    Ok(match &host.storage {
        Storage::Embedded => std::path::absolute(&host.data_dir)?.display().to_string(),
        Storage::Aws(storage) => {
            let place = host.aws.endpoint_url.as_deref().unwrap_or("AWS");
            format!("DynamoDB and bucket {} at {place}, {}", storage.bucket, host.aws.region)
        }
    })
}

/// The address in a form that a browser on this machine can open.
fn reachable_url(address: SocketAddr, secure: bool) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

async fn drain_outbox(app: Arc<App>) {
    loop {
        for _ in 0..OUTBOX_LOOKS {
            if app.drain_outbox().await == 0 {
                break;
            }
        }
        sleep(OUTBOX_EVERY).await;
    }
}

async fn purge_expired(store: Arc<SqliteStore>) {
    loop {
        if let Err(error) = store.purge_expired().await {
            tracing::warn!(%error, "expired items could not be removed; it is tried again");
        }
        sleep(PURGE_EVERY).await;
    }
}

/// The signals that ask for a stop.
struct Stop {
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
}

impl Stop {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    async fn wait(mut self) {
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
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn wait(self) {
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
