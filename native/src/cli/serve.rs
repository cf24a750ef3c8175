//! `portico serve`.

use std::sync::Arc;

use portico_core::config::Environment;

use super::serving::{self, Stop, reachable_url};
use super::{Failure, say};
use crate::dev::{self, DevOutbox};
use crate::env::{Config, Host, MailChoice, SmsChoice, Storage};
use crate::host::{self, OUTBOX};
use crate::server::{Server, Service};

/// Serves until the process is told to stop.
pub(super) fn run() -> Result<(), Failure> {
    let config = Config::load()?;
    serving::run(config.host.log_format, config.host.log_level, serve(config))
}

async fn serve(Config { settings, host }: Config) -> Result<(), Failure> {
    // Before anything else, so that a signal during start-up is not lost.
    let stop = Stop::listen()?;
    serving::start_metrics(host.metrics)?;
    let development = settings.environment == Environment::Development;
    let running = host::start(settings, host.clone()).await?;
    let server = bind(&host).await?;
    announce(&server, &host, development)?;
    let outbox = development.then(|| DevOutbox::new(host.data_dir.join(OUTBOX)));
    let service =
        Service { handler: Arc::clone(&running.app), outbox, trusted_proxies: host.trusted_proxies };
    let mut chores = vec![tokio::spawn(serving::drain_outbox(Arc::clone(&running.app)))];
    // DynamoDB removes what has expired by itself, and looks after its disks.
    if let Some(store) = running.embedded.clone() {
        chores.push(tokio::spawn(serving::purge_expired(store)));
        let check = move || serving::check_at_leisure(host.data_dir.clone());
        chores.push(tokio::spawn(serving::look_for_damage(check)));
    }
    let finished = serving::serve(server, service, stop, &chores, &running.background).await;
    serving::note_stop(finished, running.close().await);
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
