//! What the clients of all services share: the account, where it is, and what it takes to reach it.

use std::sync::Arc;

use portico_core::config::aws::{AwsCredentials, AwsSettings};
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::http_client::HttpClient;

use super::sign::Signer;

/// An account at AWS, or at an emulator.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where it is.
    pub settings: AwsSettings,
    /// Its key.
    pub key: AwsCredentials,
    /// Reaches it.
    pub http: Arc<dyn HttpClient>,
    /// Dates signatures, and paces attempts.
    pub clock: Arc<dyn Clock>,
    /// Spreads attempts.
    pub entropy: Arc<dyn Entropy>,
}

impl Account {
    /// What signs requests to a service in a region.
    #[must_use]
    pub fn signer(&self, service: &'static str, region: &str) -> Signer {
        Signer::new(&self.key, service, region.to_owned(), Arc::clone(&self.clock))
    }

    /// The URL of a service in a region, or of the emulator, with a slash at its end.
    #[must_use]
    pub fn endpoint(&self, service: &str, region: &str) -> String {
        match &self.settings.endpoint_url {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://{service}.{region}.amazonaws.com/"),
        }
    }
}
