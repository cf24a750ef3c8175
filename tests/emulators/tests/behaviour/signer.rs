//! Signs requests as AWS's SDKs do, and as they should not.

use crate::process::{Answer, Emulators, Failed};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// How requests are signed.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) time: SystemTime,
    /// In the query string, good for so long.
    pub(crate) expires: Option<Duration>,
}

/// A request on its way, still to be changed.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn signer(service: &str) -> Signer {
    Signer {
        key: "test".to_owned(),
        secret: "test".to_owned(),
        token: None,
        region: "eu-central-1".to_owned(),
        service: service.to_owned(),
        time: SystemTime::now(),
        expires: None,
    }
}

impl Signer {
    pub(crate) fn sign(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Signed {
        self.sign_as(method, url, headers, body, SignableBody::Bytes(body))
    }

    /// Signs something else than the body sent.
    pub(crate) fn sign_as(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        signed: SignableBody<'_>,
    ) -> Signed {
        let identity =
            Credentials::from_keys(self.key.clone(), self.secret.clone(), self.token.clone()).into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.time)
            .settings(self.settings())
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(method, url, headers.iter().copied(), signed).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut url = url.to_owned();
        for (name, value) in instructions.params() {
            let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
            let separator = if url.contains('?') { '&' } else { '?' };
            url.push(separator);
            url.push_str(&pair);
        }
        Signed { method: method.to_owned(), url, headers: all, body: body.to_vec() }
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if let Some(expires) = self.expires {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(expires);
            settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        }
        settings
    }

    pub(crate) fn dynamodb(&self, emulators: &Emulators, operation: &str, body: &Value) -> Signed {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        self.sign("POST", &format!("{}/", emulators.endpoint), &headers, body.to_string().as_bytes())
    }

    pub(crate) fn sns(&self, emulators: &Emulators, pairs: &[(&str, &str)]) -> Signed {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.sign("POST", &format!("{}/", emulators.endpoint), &headers, form.as_bytes())
    }

    pub(crate) fn s3(
        &self,
        emulators: &Emulators,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Signed {
        let signed =
            if self.expires.is_some() { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body) };
        self.sign_as(method, &format!("{}{path}", emulators.endpoint), headers, body, signed)
    }
}

impl Signed {
    pub(crate) async fn try_send(&self, emulators: &Emulators) -> Result<Answer, Failed> {
        emulators.send(&self.method, &self.url, &self.headers, &self.body).await
    }

    pub(crate) async fn send(&self, emulators: &Emulators) -> Answer {
        self.try_send(emulators).await.unwrap()
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| given != name);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn replaced(mut self, name: &str, from: &str, to: &str) -> Self {
        for (_, value) in self.headers.iter_mut().filter(|(given, _)| given == name) {
            assert!(value.contains(from), "{name}: {value}");
            *value = value.replace(from, to);
        }
        self
    }
}
