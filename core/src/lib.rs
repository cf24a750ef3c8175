//! Portico's core: the user backend of an app, without I/O.
//!
//! # Bird's-eye view
//! A host hands every HTTP request to [`App::handle`] and gets an answer. In between, in this order:
//! [`http::router`] finds the route in the table of [`http::routes`], takes a rate-limit permit, lets
//! [`auth::access`] admit the caller, and calls the route's handler; the handler parses its input into types that
//! cannot hold a wrong value ([`text`], [`validate`]), applies the rules of its resource's `repo`, and answers
//! through [`http::reply`]. Everything outside — storage, mail, time, randomness — is a trait in [`ports`].
//!
//! # Where things are
//! - one folder for each resource: [`users`], [`sessions`], [`devices`], [`statuses`], [`notifications`],
//!   [`verifications`], [`app_versions`], [`files`]; in each `model` (what is stored and shown), `repo` (the rules, as
//!   functions over `&dyn Store`) and `handlers` (what requests bring and get)
//! - [`outbox`]: messages and other work promised by a transaction, done after the answer
//! - [`idempotency`]: answers kept, so that a request that is sent again is not done again
//! - [`auth`]: tokens, passwords, keys, access rules · [`schema`]: tables and indexes · [`error`]: failures and the
//!   answers they become · [`config`]: settings
//! - [`rate_limit`]: a token bucket per source, kept in the store where hosts have no better place
//! - [`blob_urls`]: presigned URLs of blobs that the host serves itself
//! - [`dynamo`]: the store in DynamoDB, [`s3`]: blobs in S3, [`sns`]: SMS by SNS, all but the transport · [`aws`]: what
//!   they have in common
//! - [`memory`]: a reference implementation of every port · `conformance`: what every implementation must pass
//!
//! # What is deliberately absent
//! No I/O, clock, randomness, threads or `cfg` for a platform; no runtime, server or cloud SDK in the dependencies.

pub mod app_versions;
pub mod attributes;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod blob_urls;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod description;
pub mod devices;
pub mod dynamo;
pub mod error;
pub mod files;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod memory;
pub mod notifications;
pub mod outbox;
pub mod ports;
pub mod rate_limit;
pub mod roles;
pub mod s3;
pub mod schema;
pub mod secret;
pub mod sessions;
pub mod sns;
pub mod statuses;
pub mod text;
pub mod time;
pub mod users;
pub mod validate;
pub mod verifications;

use std::sync::Arc;

use crate::app_versions::cache::VersionCache;
use crate::auth::google::GoogleKeys;
use crate::auth::keys::{ServerKeys, SigningKeys};
use crate::auth::verified_tokens::VerifiedTokens;
use crate::config::Settings;
use crate::error::Error;
use crate::http::body::Body;
use crate::http::request_id;
use crate::http::router::{self, Router};
use crate::ports::Ports;
use crate::ports::entropy::EntropyError;
use crate::secret::Secret;
use crate::sessions::cache::SessionCache;
use crate::time::Timestamp;
use crate::users::model::User;

/// The app: settings, keys and ports, ready to answer.
#[derive(Debug)]
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) keys: SigningKeys,
    pub(crate) server_keys: ServerKeys,
    pub(crate) ports: Ports,
    pub(crate) router: Router,
    pub(crate) verified_tokens: VerifiedTokens,
    pub(crate) session_cache: SessionCache,
    pub(crate) version_cache: VersionCache,
    pub(crate) google_keys: GoogleKeys,
}

impl App {
    /// An app over these ports.
    ///
    /// # Panics
    /// Never: the route table is constant, and a test proves that its paths agree.
    #[must_use]
    #[expect(clippy::expect_used, reason = "`router::tests` proves that the constant table is consistent")]
    pub fn new(settings: Settings, keys: SigningKeys, ports: Ports) -> Arc<Self> {
        let server_keys = ServerKeys::derive(settings.token_secret.as_ref(), &keys.private);
        let router = Router::new().expect("the route table is consistent");
        let verified_tokens = VerifiedTokens::new(settings.access_token_cache);
        let session_cache = SessionCache::new(settings.session_cache_seconds);
        let version_cache = VersionCache::default();
        let google_keys = GoogleKeys::default();
        Arc::new(Self {
            settings,
            keys,
            server_keys,
            ports,
            router,
            verified_tokens,
            session_cache,
            version_cache,
            google_keys,
        })
    }

    /// Answers a request. Never fails: every failure is an answer.
    pub fn handle(
        self: &Arc<Self>,
        request: ::http::Request<Body>,
    ) -> impl Future<Output = ::http::Response<Body>> + Send {
        router::handle(self, request)
    }

    /// Does what the outbox holds and is due; returns how many entries were looked at. Hosts call it at start-up and
    /// every few seconds, so that nothing promised is lost to a crash or a dead mail server.
    pub async fn drain_outbox(self: &Arc<Self>) -> usize {
        outbox::delivery::drain(self).await
    }

    /// Creates an Admin, with a confirmed e-mail address.
    ///
    /// # Errors
    /// 422 for values that registration would refuse too, 409 for names that are taken.
    pub async fn create_admin(
        self: &Arc<Self>,
        username: &str,
        email: &str,
        password: Secret,
    ) -> Result<User, Error> {
        users::registration::create_admin(self, username, email, password).await
    }

    /// Whether no user was ever registered.
    ///
    /// # Errors
    /// 503 when the store does not answer.
    pub async fn has_no_users(&self) -> Result<bool, Error> {
        users::repo::is_empty(&*self.ports.store).await
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// A new ULID: sorts by creation, and cannot be guessed.
    pub(crate) fn new_id(&self) -> Result<String, EntropyError> {
        request_id::new_ulid(&*self.ports.clock, &*self.ports.entropy)
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0; N];
        self.ports.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }
}
