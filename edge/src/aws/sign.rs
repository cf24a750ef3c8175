//! Signature Version 4 (AWS General Reference, "Signing AWS API requests"), by Amazon's own library.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use portico_core::config::aws::AwsCredentials;
use portico_core::ports::clock::Clock;
use portico_core::s3::request::Period;

/// A request cannot be signed, for it or the key has a form that the signature does not know.
#[derive(Debug, thiserror::Error)]
#[error("a request cannot be signed: {0}")]
pub struct SignError(String);

/// Signs requests to one service in one region, as of the clock's time.
#[derive(Clone)]
pub struct Signer {
    credentials: Credentials,
    service: &'static str,
    region: String,
    clock: Arc<dyn Clock>,
}

impl Signer {
    /// Signs with a key, for a service (`dynamodb`, `s3`, `sns`) and a region.
    #[must_use]
    pub fn new(key: &AwsCredentials, service: &'static str, region: String, clock: Arc<dyn Clock>) -> Self {
        let token = key.session_token.as_ref().map(|token| token.expose().to_owned());
        let secret = key.secret_access_key.expose();
        let credentials = Credentials::new(&key.access_key_id, secret, token, None, "portico");
        Self { credentials, service, region, clock }
    }

    /// Adds the headers that make a request the account's. Every header that the request has is signed.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, request: &mut Request<Bytes>) -> Result<(), SignError> {
        let mut settings = self.settings();
        if self.is_s3() {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let body = request.body().clone();
        self.apply(request, settings, SignableBody::Bytes(&body), self.now())
    }

    /// The same, for a body whose SHA-256 is known already.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_hashed(&self, request: &mut Request<Bytes>, sha256: &[u8; 32]) -> Result<(), SignError> {
        let mut settings = self.settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let hash = base16ct::lower::encode_string(sha256);
        self.apply(request, settings, SignableBody::Precomputed(hash), self.now())
    }

    /// Adds to a request's URL what lets anybody make it for a while, in just these headers.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn presign(
        &self,
        method: http::Method,
        uri: Uri,
        headers: HeaderMap,
        Period { start, seconds }: Period,
    ) -> Result<String, SignError> {
        let mut settings = self.settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(seconds));
        let mut request = Request::builder().method(method).uri(uri).body(Bytes::new()).map_err(refused)?;
        *request.headers_mut() = headers;
        self.apply(
            &mut request,
            settings,
            SignableBody::UnsignedPayload,
            UNIX_EPOCH + Duration::from_secs(start),
        )?;
        Ok(request.uri().to_string())
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.is_s3() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        settings
    }

    fn is_s3(&self) -> bool {
        self.service == "s3"
    }

    fn apply(
        &self,
        request: &mut Request<Bytes>,
        settings: SigningSettings,
        body: SignableBody<'_>,
        time: SystemTime,
    ) -> Result<(), SignError> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(time)
            .settings(settings)
            .build()
            .map_err(refused)?
            .into();
        let (instructions, _) = {
            let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str()));
            let headers: Vec<_> =
                headers.map(|(name, value)| Ok((name, value.map_err(refused)?))).collect::<Result<_, _>>()?;
            let signable = SignableRequest::new(
                request.method().as_str(),
                request.uri().to_string(),
                headers.into_iter(),
                body,
            )
            .map_err(refused)?;
            sign(signable, &parameters).map_err(refused)?.into_parts()
        };
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    /// The platform's clock may not be read in another way.
    fn now(&self) -> SystemTime {
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        UNIX_EPOCH + Duration::from_millis(millis)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, region, .. } = self;
        f.debug_struct("Signer").field("service", service).field("region", region).finish_non_exhaustive()
    }
}

fn refused(error: impl std::error::Error) -> SignError {
    SignError(error.to_string())
}

#[cfg(test)]
mod tests;
