//! Everything outside: one small trait for each thing core may ask of its host.
//!
//! The app holds each as `Arc<dyn Port>`, so that decorators (retry, metrics, fault injection, call
//! counting) can wrap them. The contract of a port stands on its methods.

pub mod background;
pub mod blobs;
pub mod blobs_ext;
pub mod clock;
pub mod entropy;
pub mod hasher;
pub mod http_client;
pub mod limiter;
pub mod mailer;
pub mod signer;
pub mod sms;
pub mod store;
pub mod store_ext;
pub mod store_index;

use std::sync::Arc;

/// The ports of a running app.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where items are kept.
    pub store: Arc<dyn store::Store>,
    /// Where files' bytes are kept.
    pub blobs: Arc<dyn blobs::Blobs>,
    /// Makes URLs that the blobs' object store answers; without one, the app makes and answers its own
    /// ([`crate::blob_urls`]).
    pub presigner: Option<Arc<dyn blobs::Presigner>>,
    /// Sends e-mail.
    pub mailer: Arc<dyn mailer::Mailer>,
    /// Sends SMS; `None` answers 503 `sms_not_configured`.
    pub sms: Option<Arc<dyn sms::SmsSender>>,
    /// Reaches other services.
    pub http: Arc<dyn http_client::HttpClient>,
    /// Limits sensitive public routes per client address.
    pub limiter: Arc<dyn limiter::Limiter>,
    /// Signs and verifies access tokens.
    pub signer: Arc<dyn signer::Signer>,
    /// Hashes passwords.
    pub hasher: Arc<dyn hasher::Hasher>,
    /// Tells the time.
    pub clock: Arc<dyn clock::Clock>,
    /// Makes random bytes.
    pub entropy: Arc<dyn entropy::Entropy>,
    /// Runs what goes on after the answer.
    pub background: Arc<dyn background::Background>,
}
