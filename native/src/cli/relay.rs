//! `portico relay`.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::serving::{self, Stop, reachable_url};
use super::{Failure, say};
use crate::background::TokioBackground;
use crate::clock::SystemClock;
use crate::entropy::SystemEntropy;
use crate::env::RelayConfig;
use crate::files::create_private_dir;
use crate::host::StartError;
use crate::mail::smtp::SmtpMailer;
use crate::relay::{FOLDER, MESSAGES, Relay, RelayPorts};
use crate::server::{Server, Service};
use crate::store::sqlite::SqliteStore;

/// Relays until the process is told to stop.
pub(super) fn run() -> Result<(), Failure> {
    let config = RelayConfig::load()?;
    serving::run(config.log_format, config.log_level, relay(config))
}

async fn relay(config: RelayConfig) -> Result<(), Failure> {
    // Before anything else, so that a signal during start-up is not lost.
    let stop = Stop::listen()?;
    serving::start_metrics(config.metrics)?;
    let store = open_store(&config)?;
    let background = TokioBackground::new(Handle::current());
    let relay = assemble(&config, &store, &background)?;
    let server = bind(&config).await?;
    announce(&server, &config)?;
    let service = Service { handler: Arc::clone(&relay), outbox: None, trusted_proxies: Vec::new() };
    let chores = [
        tokio::spawn(serving::drain_outbox(relay)),
        tokio::spawn(serving::purge_expired(Arc::clone(&store))),
    ];
    let finished = serving::serve(server, service, stop, &chores, &background).await;
    serving::note_stop(finished, store.close().await);
    Ok(())
}

fn open_store(config: &RelayConfig) -> Result<Arc<SqliteStore>, Failure> {
    let folder = config.data_dir.join(FOLDER);
    create_private_dir(&folder).map_err(|error| {
        Failure(format!("{} below DATA_DIR cannot be created: {error}", folder.display()))
    })?;
    Ok(Arc::new(SqliteStore::open(folder, Arc::new(SystemClock), Arc::new(SystemEntropy))?))
}

fn assemble(
    config: &RelayConfig,
    store: &Arc<SqliteStore>,
    background: &TokioBackground,
) -> Result<Arc<Relay>, StartError> {
    let RelayConfig { token, key, smtp, .. } = config;
    let ports = RelayPorts {
        store: Arc::clone(store) as _,
        mailer: Arc::new(SmtpMailer::new(smtp.clone())?),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        background: Arc::new(background.clone()),
    };
    Ok(Relay::new(token, key.clone(), smtp.from.clone(), ports))
}

async fn bind(config: &RelayConfig) -> Result<Server, Failure> {
    let address = config.address;
    Server::bind(&address.ip().to_string(), address.port(), config.tls.clone()).await.map_err(|error| {
        Failure(format!("{address} cannot be listened on: {error}; set RELAY_ADDR to another"))
    })
}

/// Tells whoever started it where everything is.
fn announce(server: &Server, config: &RelayConfig) -> Result<(), Failure> {
    let url = format!("{}{MESSAGES}", reachable_url(server.address()?, server.is_secure()));
    let data = std::path::absolute(config.data_dir.join(FOLDER))?.display().to_string();
    let smtp = format!("{}:{}, from {}", config.smtp.host, config.smtp.port, config.smtp.from);
    say(format_args!("Portico {} relays mail posted to {url}", env!("CARGO_PKG_VERSION")));
    say(format_args!("  data    {data}"));
    say(format_args!("  SMTP    {smtp}"));
    tracing::info!(url, data, smtp, "listening");
    Ok(())
}
