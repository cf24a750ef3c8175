//! The connection to AWS that its clients share: credentials, region, address, HTTPS.
//!
//! How long a request may take, and whether it is made again, each client says for itself.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{Builder, tls};

use crate::env::{AwsCredentials, AwsSettings};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What AWS calls the program in its logs.
const NAME: &str = "portico";

/// Makes what the clients of all services share. Without credentials in the settings, the SDK's default chain
/// is asked for some when they are needed. Must run within a tokio runtime.
#[expect(clippy::expect_used, reason = "the name is a constant, and a test makes it too")]
pub async fn connect(settings: &AwsSettings) -> SdkConfig {
    let https = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .app_name(AppName::new(NAME).expect("a name of letters"))
        .region(Region::new(settings.region.clone()))
        .http_client(Builder::new().tls_provider(https).build_https())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(credentials) = &settings.credentials {
        loader = loader.credentials_provider(given(credentials));
    }
    loader.load().await
}

/// Credentials from our own variables, of which a `.env` file may hold some: the SDK does not read that.
fn given(credentials: &AwsCredentials) -> Credentials {
    let AwsCredentials { access_key_id, secret_access_key, session_token } = credentials;
    let session_token = session_token.as_ref().map(|token| token.expose().to_owned());
    Credentials::new(access_key_id, secret_access_key.expose(), session_token, None, NAME)
}

/// An error with its causes, which the SDK's leave out.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An error and its causes, outermost first.
pub(crate) fn causes<'error>(
    error: &'error (dyn Error + 'static),
) -> impl Iterator<Item = &'error (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::ProvideCredentials;
    use portico_core::secret::Secret;

    use super::*;

    #[tokio::test]
    async fn what_is_set_is_used_and_no_secret_printed() {
        let settings = AwsSettings {
            region: "eu-central-1".into(),
            endpoint_url: Some("http://localhost:4566".into()),
            credentials: Some(AwsCredentials {
                access_key_id: "AKIDEXAMPLE".into(),
                secret_access_key: Secret::new("canary-1"),
                session_token: Some(Secret::new("canary-2")),
            }),
            sns_region: "us-east-1".into(),
            sns_sender_id: None,
        };
        let config = connect(&settings).await;
        assert_eq!(config.region().map(Region::as_ref), Some("eu-central-1"));
        assert_eq!(config.endpoint_url(), Some("http://localhost:4566"));
        assert_eq!(config.app_name().map(ToString::to_string).as_deref(), Some(NAME));
        let found = config.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!(
            (found.access_key_id(), found.secret_access_key(), found.session_token()),
            ("AKIDEXAMPLE", "canary-1", Some("canary-2"))
        );
        assert!(!format!("{settings:?}{config:?}{found:?}").contains("canary"));
    }
}
