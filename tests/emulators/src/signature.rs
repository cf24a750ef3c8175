//! Checks signatures (Signature Version 4) by signing again what was received, with the official signer, and
//! comparing. S3's signatures are checked by its own server; only the key's region and token are checked for
//! it here.
//!
//! Invariant: nothing but the known key, used within minutes on the very bytes received, passes.

use crate::refusal::Refusal;
use crate::scope::{Claim, Place, TIME, Unreadable};
use crate::service::Service;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use std::time::Duration;
use time::OffsetDateTime;

/// How far a request's time may be from ours, both ways.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// Headers that must be among the signed ones if they are there.
const MUST_BE_SIGNED: [&str; 3] = ["x-amz-date", "x-amz-security-token", "x-amz-target"];

/// Knows the one key, and what it is good for.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
    pub(crate) region: Option<String>,
}

impl Verifier {
    /// Checks all of a request to DynamoDB or SNS.
    ///
    /// # Errors
    /// The reason, in AWS's order: unreadable, unknown key, wrong scope, too old, wrong signature.
    pub(crate) fn verify(&self, service: Service, request: &Parts, body: &[u8]) -> Result<(), Refusal> {
        let claim = Claim::read(request).map_err(|unreadable| match unreadable {
            Unreadable::Absent => Refusal::Missing,
            Unreadable::Garbled(reason) => Refusal::Incomplete(reason),
        })?;
        self.check_key(&claim, service, request)?;
        check_time(&claim, OffsetDateTime::now_utc())?;
        let signature = self.sign(&claim, request, body)?;
        if signature == claim.signature { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// Checks what S3's own server does not: the region and the session token, where a key is claimed at all;
    /// and what it words otherwise than AWS: headers that cannot be read, but for those of Signature Version
    /// 2.
    pub(crate) fn verify_scope(&self, service: Service, request: &Parts) -> Result<(), Refusal> {
        match Claim::read(request) {
            Ok(claim) => self.check_key(&claim, service, request),
            Err(Unreadable::Garbled(reason)) if !is_version_2(request) => Err(Refusal::Incomplete(reason)),
            Err(_) => Ok(()),
        }
    }

    fn check_key(&self, claim: &Claim, service: Service, request: &Parts) -> Result<(), Refusal> {
        if claim.access_key != self.access_key {
            return Err(Refusal::UnknownKey);
        }
        self.check_token(request)?;
        if claim.service != service.name() {
            let name = service.name();
            return Err(Refusal::Scope(format!("Credential should be scoped to correct service: '{name}'.")));
        }
        match &self.region {
            Some(region) if *region != claim.region => Err(Refusal::Scope(format!(
                "Credential should be scoped to a valid region, not '{}'.",
                claim.region
            ))),
            _ => Ok(()),
        }
    }

    fn check_token(&self, request: &Parts) -> Result<(), Refusal> {
        let header = request.headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
        let given = header.map(str::to_owned).or_else(|| {
            let query = request.uri.query().unwrap_or_default().as_bytes();
            let mut pairs = form_urlencoded::parse(query);
            pairs.find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, value)| value.into_owned())
        });
        if given == self.session_token { Ok(()) } else { Err(Refusal::BadToken) }
    }

    fn sign(&self, claim: &Claim, request: &Parts, body: &[u8]) -> Result<String, Refusal> {
        check_signed_headers(claim, request)?;
        let identity =
            Credentials::from_keys(self.access_key.as_str(), self.secret_key.as_str(), None::<String>).into();
        let mut settings = SigningSettings::default();
        // Exactly the headers that the client says it signed, none left out.
        settings.excluded_headers = None;
        if let Place::Query(expires) = claim.place {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(expires);
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&claim.region)
            .name(&claim.service)
            .time(claim.time.into())
            .settings(settings)
            .build();
        let params: SigningParams<'_> = params.map_err(|_| Refusal::Mismatch)?.into();
        let headers = request.headers.iter().filter_map(|(name, value)| {
            let signed = claim.signed_headers.iter().any(|signed| signed == name.as_str());
            signed.then(|| value.to_str().ok().map(|value| (name.as_str(), value))).flatten()
        });
        let signable = SignableRequest::new(
            request.method.as_str(),
            signed_uri(request)?,
            headers,
            SignableBody::Bytes(body),
        );
        let output =
            sign(signable.map_err(|_| Refusal::Mismatch)?, &params).map_err(|_| Refusal::Mismatch)?;
        Ok(output.signature().to_owned())
    }
}

fn is_version_2(request: &Parts) -> bool {
    request.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "))
}

fn check_signed_headers(claim: &Claim, request: &Parts) -> Result<(), Refusal> {
    let signed = |name: &str| claim.signed_headers.iter().any(|signed| signed == name);
    if !signed("host") {
        let reason = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(Refusal::Incomplete(reason.to_owned()));
    }
    match MUST_BE_SIGNED.into_iter().find(|name| request.headers.contains_key(*name) && !signed(name)) {
        Some(name) => {
            Err(Refusal::Incomplete(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")))
        }
        None => Ok(()),
    }
}

/// The address that was signed: ours, without what the signature itself added to the query.
fn signed_uri(request: &Parts) -> Result<String, Refusal> {
    const ADDED: [&str; 6] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ];
    let host = request.headers.get(HOST).and_then(|value| value.to_str().ok()).ok_or(Refusal::Mismatch)?;
    let query = request.uri.query().unwrap_or_default();
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !ADDED.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok(format!("http://{host}{}{separator}{}", request.uri.path(), kept.join("&")))
}

fn check_time(claim: &Claim, now: OffsetDateTime) -> Result<(), Refusal> {
    let stamp = |time: OffsetDateTime| time.format(TIME).unwrap_or_default();
    let time = stamp(claim.time);
    if !time.starts_with(&claim.date) {
        return Err(Refusal::Scope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
             {} in {time}.",
            claim.date
        )));
    }
    let good_for = match claim.place {
        Place::Headers => SKEW,
        Place::Query(expires) => expires,
    };
    if now > claim.time + good_for {
        let limit = stamp(now - good_for);
        return Err(Refusal::Expired(format!("Signature expired: {time} is now earlier than {limit}")));
    }
    if now + SKEW < claim.time {
        let limit = stamp(now + SKEW);
        return Err(Refusal::Expired(format!(
            "Signature not yet current: {time} is still later than {limit}"
        )));
    }
    Ok(())
}
