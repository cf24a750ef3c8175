//! What an isolate keeps from one request to the next: the app, built for the first of them from the Worker's variables.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Response};
use portico_core::App;
use portico_core::auth::keys::ServerKeys;
use portico_core::config::{ConfigError, Environment, Vars};
use portico_core::dynamo::store::DynamoStore;
use portico_core::error::Error;
use portico_core::http::body::Body;
use portico_core::http::request_id;
use portico_core::memory::hasher::InlineHasher;
use portico_core::ports::Ports;
use portico_core::ports::background::Background;
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::http_client::HttpClient;
use portico_core::ports::limiter::Limiter;
use portico_core::ports::sms::SmsSender;
use portico_core::ports::store::Store;
use portico_core::rate_limit::StoreLimiter;
use portico_core::s3::blobs::S3Blobs;
use portico_core::sns::SnsSms;
use worker::Env;

use super::background::EventBackground;
use super::clock::EventClock;
use super::entropy::CryptoEntropy;
use super::fetch::FetchHttp;
use super::limiter::{self, BindingLimiter};
use super::signer::WebCryptoSigner;
use crate::aws;
use crate::aws::account::Account;
use crate::env::Config;
use crate::mail::HttpMailer;

/// Rounds of the outbox that one cron trigger goes at most; each looks at up to 25 entries of each shard.
const ROUNDS: usize = 20;

/// What an isolate keeps.
#[derive(Debug)]
pub(super) struct Isolate {
    pub(super) app: Arc<App>,
}

/// Why it cannot answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Variables that cannot work.
    Config(&'static ConfigError),
    /// What development makes on the first request could not be made.
    NotReady(Error),
}

static BUILT: OnceLock<Result<Built, ConfigError>> = OnceLock::new();

/// An app, and whether what it stands on has been made.
#[derive(Debug)]
struct Built {
    isolate: Isolate,
    preparation: Option<Preparation>,
}

/// Tables and bucket, which development makes by itself.
#[derive(Debug)]
struct Preparation {
    store: Arc<DynamoStore>,
    objects: Arc<aws::s3::FetchClient>,
    done: OnceLock<()>,
}

/// The isolate's app; built now, if this is its first request.
///
/// # Errors
/// [`Refusal`], the same for every request until the Worker is deployed anew.
pub(super) async fn get(env: &Env) -> Result<&'static Isolate, Refusal> {
    let built = BUILT.get_or_init(|| {
        let built = build(env);
        if let Err(error) = &built {
            tracing::error!("{error}");
        }
        built
    });
    let built = built.as_ref().map_err(Refusal::Config)?;
    if let Some(preparation) = &built.preparation {
        preparation.see_to().await?;
    }
    Ok(&built.isolate)
}

fn build(env: &Env) -> Result<Built, ConfigError> {
    let config = Config::read(Vars::new(|name| env.var(name).ok().map(|value| value.to_string())))?;
    let clock: Arc<dyn Clock> = Arc::new(EventClock);
    let entropy: Arc<dyn Entropy> = Arc::new(CryptoEntropy);
    let http: Arc<dyn HttpClient> = Arc::new(FetchHttp);
    let account = Account {
        settings: config.aws,
        key: config.credentials,
        http: http.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let client = aws::dynamo::FetchClient::new(account.clone());
    let store =
        Arc::new(DynamoStore::new(Arc::new(client), clock.clone(), entropy.clone(), config.storage.tables));
    let limiter: Arc<dyn Limiter> = match env.rate_limiter(limiter::BINDING) {
        Ok(binding) => Arc::new(BindingLimiter::new(binding, config.settings.rate_limit)),
        Err(_) => {
            let keys = ServerKeys::derive(config.settings.token_secret.as_ref(), &config.keys.private);
            let (store, clock) = (store.clone() as Arc<dyn Store>, clock.clone());
            Arc::new(StoreLimiter::new(store, clock, config.settings.rate_limit, keys.counters))
        }
    };
    let makes_tables =
        account.settings.endpoint_url.is_some() && config.settings.environment == Environment::Development;
    let objects = Arc::new(aws::s3::FetchClient::new(account.clone(), &config.storage.bucket));
    let preparation = makes_tables.then(|| Preparation {
        store: store.clone(),
        objects: objects.clone(),
        done: OnceLock::new(),
    });
    let background: Arc<dyn Background> = Arc::new(EventBackground);
    let blobs = Arc::new(S3Blobs::new(objects, clock.clone(), entropy.clone(), background.clone()));
    let sms = config.sends_sms.then(|| {
        let sender_id = account.settings.sns_sender_id.clone();
        let client = aws::sns::FetchClient::new(account.clone());
        Arc::new(SnsSms::new(Arc::new(client), clock.clone(), sender_id)) as Arc<dyn SmsSender>
    });
    let ports = Ports {
        store,
        blobs: blobs.clone(),
        presigner: Some(blobs),
        mailer: Arc::new(HttpMailer::new(config.mail, http.clone())),
        sms,
        http,
        limiter,
        signer: Arc::new(WebCryptoSigner::new(config.keys.private.clone())),
        hasher: Arc::new(InlineHasher),
        clock,
        entropy,
        background,
    };
    Ok(Built { isolate: Isolate { app: App::new(config.settings, config.keys, ports) }, preparation })
}

impl Preparation {
    /// Makes what is missing, once; requests that come meanwhile make it too, which changes nothing.
    async fn see_to(&self) -> Result<(), Refusal> {
        if self.done.get().is_some() {
            return Ok(());
        }
        let prepared = self.store.prepare().await.map_err(|error| Refusal::NotReady(error.into()))?;
        self.objects.create_bucket().await.map_err(|error| {
            let detail = "the bucket cannot be made: is AWS_ENDPOINT_URL right?";
            Refusal::NotReady(Error::unavailable("storage_unavailable", detail, 2).caused_by(error))
        })?;
        for mismatch in prepared.mismatches {
            tracing::error!(%mismatch, "a table is not as it must be");
        }
        let _was_quicker = self.done.set(());
        Ok(())
    }
}

/// The caller's id, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    request_id::of(headers, &EventClock, &CryptoEntropy)
}

/// The answer when the runtime ended the work before there was one.
pub(super) fn cut_off(id: &str) -> Response<Body> {
    let detail = "the answer was cut off: see whether it was done, and try again if it was not";
    request_id::refuse(&Error::unavailable("busy", detail, 1), id)
}

/// Does what the outbox holds and is due.
pub(super) async fn drain(app: Arc<App>) {
    for _ in 0..ROUNDS {
        if app.drain_outbox().await == 0 {
            return;
        }
    }
}

impl Refusal {
    /// 503, naming the variables but not their values.
    pub(super) fn answer(self, id: &str) -> Response<Body> {
        let error = match self {
            Self::Config(error) => {
                let names: Vec<&str> = error.problems.iter().map(|problem| problem.variable).collect();
                let detail = format!("the deployment's configuration cannot work: see {}", names.join(", "));
                Error::unavailable("not_configured", detail, 60)
            }
            Self::NotReady(error) => {
                let cause = cause(&error);
                tracing::error!(request_id = id, cause, "tables and bucket cannot be made");
                error
            }
        };
        request_id::refuse(&error, id)
    }

    /// For events that are not answered.
    pub(super) fn log(&self) {
        let cause = match self {
            Self::Config(error) => error.to_string(),
            Self::NotReady(error) => cause(error),
        };
        tracing::error!(cause, "the outbox is not looked at");
    }
}

/// What is behind a failure, in words that hold no item.
fn cause(error: &Error) -> String {
    error.source.as_ref().map_or_else(|| error.to_string(), ToString::to_string)
}
