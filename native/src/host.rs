//! The app put together on this host, from a configuration.
//!
//! What differs between the places where items and files are kept is in [`embedded`] and `aws`.

#[cfg(feature = "aws")]
mod aws;
#[cfg(not(feature = "aws"))]
#[path = "host/without_aws.rs"]
mod aws;
mod embedded;

use std::io;
use std::path::Path;
use std::sync::Arc;

use portico_core::App;
use portico_core::config::Settings;
use portico_core::dynamo::mismatch::Mismatch;
use portico_core::error::Error;
use portico_core::ports::Ports;
use portico_core::ports::background::Background;
use portico_core::ports::blobs::{Blobs, Presigner};
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::mailer::Mailer;
use portico_core::ports::signer::SignerError;
use portico_core::ports::sms::SmsSender;
use portico_core::ports::store::{Store, StoreError};
use tokio::runtime::Handle;

use crate::background::TokioBackground;
use crate::clock::SystemClock;
use crate::entropy::SystemEntropy;
use crate::env::{FirstAdmin, Host, MailChoice, SmsChoice, Storage};
use crate::hasher::HashPool;
use crate::http_client::HyperClient;
use crate::keys::MakeError;
use crate::limiter::MemoryLimiter;
use crate::mail::outbox::OutboxMailer;
use crate::mail::smtp::SmtpMailer;
use crate::signer::AwsLcSigner;
use crate::sms::outbox::OutboxSms;
use crate::store::sqlite::{DatabaseError, SqliteStore};

use aws::Aws;

/// The folder of messages that development writes, within the data directory.
pub const OUTBOX: &str = "outbox";

/// The folder of files' bytes, within the data directory.
pub const FILES: &str = "files";

/// The name of the administrator that `ADMIN_EMAIL` and `ADMIN_PASSWORD` create.
const FIRST_ADMIN: &str = "admin";

/// A running app, and what has to be stopped with it.
#[derive(Debug)]
pub struct Running {
    /// The app.
    pub app: Arc<App>,
    /// Its embedded store, which wants to be purged and closed; without one, it is all at AWS.
    pub embedded: Option<Arc<SqliteStore>>,
    /// Its work beyond answers.
    pub background: TokioBackground,
}

impl Running {
    /// Closes what has to be closed; nothing may be asked of the app afterwards.
    ///
    /// # Errors
    /// When the embedded store does not close; nothing that was acknowledged is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.embedded {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }
}

/// Where items and files are kept, as ports.
struct Kept {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    presigner: Option<Arc<dyn Presigner>>,
    embedded: Option<Arc<SqliteStore>>,
}

/// Why the app cannot start, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What is at AWS does not answer as it should.
    #[error("{0}")]
    Aws(String),
    /// Tables that cannot be used as they are.
    #[error("DynamoDB cannot be used:{}", listed(.0))]
    Tables(Vec<Mismatch>),
    /// The signing keys' files.
    #[error(transparent)]
    Keys(#[from] MakeError),
    /// The signing keys themselves.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The mail server's TLS.
    #[error("SMTP cannot be set up: {0}; is there a bundle of certificate authorities on this system?")]
    Mail(#[from] lettre::transport::smtp::Error),
    /// A folder or a thread.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: io::Error,
    },
    /// The first administrator.
    #[error("ADMIN_EMAIL, ADMIN_PASSWORD: {0}")]
    FirstAdmin(#[source] Box<Error>),
}

impl StartError {
    fn first_admin(error: Error) -> Self {
        Self::FirstAdmin(Box::new(error))
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Mismatches, a line each.
fn listed(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(|mismatch| format!("\n  {mismatch}")).collect()
}

/// Opens the store, makes what is missing, and puts the app together. Must run within a tokio runtime.
///
/// # Errors
/// [`StartError`].
pub async fn start(settings: Settings, host: Host) -> Result<Running, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let tasks = TokioBackground::new(Handle::current());
    let background: Arc<dyn Background> = Arc::new(tasks.clone());
    let aws = Aws::new(host.aws);
    // First, for the embedded store's lock: of two processes with one directory, one goes no further.
    let kept = match &host.storage {
        Storage::Embedded => embedded::open(&host.data_dir, &clock, &entropy)?,
        Storage::Aws(storage) => aws.open(storage, &clock, &entropy, &background).await?,
    };
    let keys = host.keys.obtain()?;
    let outbox = host.data_dir.join(OUTBOX);
    let ports = Ports {
        store: kept.store,
        blobs: kept.blobs,
        presigner: kept.presigner,
        mailer: open_mailer(host.mail, &outbox)?,
        sms: open_sms(host.sms, &outbox, &clock, &aws).await?,
        http: Arc::new(HyperClient::default()),
        limiter: Arc::new(MemoryLimiter::new(settings.rate_limit)),
        signer: Arc::new(AwsLcSigner::new(&keys)?),
        hasher: Arc::new(HashPool::start().map_err(StartError::io("hashing threads cannot be started"))?),
        clock,
        entropy,
        background,
    };
    let app = App::new(settings, keys, ports);
    create_first_admin(&app, host.first_admin).await?;
    Ok(Running { app, embedded: kept.embedded, background: tasks })
}

fn open_mailer(choice: MailChoice, outbox: &Path) -> Result<Arc<dyn Mailer>, StartError> {
    match choice {
        MailChoice::Smtp(smtp) => Ok(Arc::new(SmtpMailer::new(smtp)?)),
        MailChoice::Outbox(from) => {
            let mailer = OutboxMailer::new(outbox.to_owned(), from);
            Ok(Arc::new(mailer.map_err(StartError::io(format!("{} cannot be created", outbox.display())))?))
        }
    }
}

async fn open_sms(
    choice: SmsChoice,
    outbox: &Path,
    clock: &Arc<dyn Clock>,
    aws: &Aws,
) -> Result<Option<Arc<dyn SmsSender>>, StartError> {
    match choice {
        SmsChoice::None => Ok(None),
        SmsChoice::Sns => aws.open_sms(clock).await.map(Some),
        SmsChoice::Outbox => {
            let sender = OutboxSms::new(outbox.to_owned(), Arc::clone(clock));
            let sender = sender.map_err(StartError::io(format!("{} cannot be created", outbox.display())))?;
            Ok(Some(Arc::new(sender)))
        }
    }
}

/// Creates the administrator that the configuration names, once, if nobody ever registered.
async fn create_first_admin(app: &Arc<App>, admin: Option<FirstAdmin>) -> Result<(), StartError> {
    let Some(FirstAdmin { email, password }) = admin else { return Ok(()) };
    if !app.has_no_users().await.map_err(StartError::first_admin)? {
        tracing::info!("ADMIN_EMAIL and ADMIN_PASSWORD are not used: there are users already; remove them");
        return Ok(());
    }
    app.create_admin(FIRST_ADMIN, &email, password).await.map_err(StartError::first_admin)?;
    tracing::info!(username = FIRST_ADMIN, "the first administrator was created; remove ADMIN_PASSWORD");
    Ok(())
}
