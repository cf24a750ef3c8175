//! What a signed request claims of itself: key, day, region, service, which headers were signed, and the
//! signature. Nothing is believed here; `signature` compares.

use http::header::AUTHORIZATION;
use http::request::Parts;
use std::time::Duration;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// `20260131T235959Z`
pub(crate) const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Headers,
    /// In the query string, good for so long.
    Query(Duration),
}

/// What a request claims.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) access_key: String,
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) time: OffsetDateTime,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
    pub(crate) place: Place,
}

/// Why a request's claim cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Absent,
    Garbled(String),
}

impl Claim {
    /// Reads the claim from the `Authorization` header, or from the query string.
    pub(crate) fn read(request: &Parts) -> Result<Self, Unreadable> {
        match request.headers.get(AUTHORIZATION) {
            Some(value) => {
                let value = value.to_str().map_err(|_| garbled("Authorization header is not ASCII."))?;
                Self::read_header(value, request)
            }
            None => Self::read_query(request),
        }
    }

    fn read_header(value: &str, request: &Parts) -> Result<Self, Unreadable> {
        let fields = value.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' '));
        let fields = fields.ok_or_else(|| garbled("Authorization header requires 'AWS4-HMAC-SHA256'."))?;
        let field = |name: &str| -> Result<&str, Unreadable> {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            let value = fields.find(|(given, _)| *given == name).map(|(_, value)| value);
            let missing = || garbled(&format!("Authorization header requires '{name}' parameter."));
            value.filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let time = request.headers.get("x-amz-date").and_then(|value| value.to_str().ok());
        let time = time.ok_or_else(|| {
            garbled("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        let mut claim = Self::of_credential(field("Credential")?)?;
        claim.signed_headers = split_names(field("SignedHeaders")?);
        claim.signature = field("Signature")?.to_owned();
        claim.time = parse_time(time)?;
        Ok(claim)
    }

    fn read_query(request: &Parts) -> Result<Self, Unreadable> {
        let query = request.uri.query().unwrap_or_default().as_bytes();
        let find = |name: &str| {
            form_urlencoded::parse(query)
                .find(|(given, _)| given == name)
                .map(|(_, value)| value.into_owned())
        };
        if find("X-Amz-Signature").is_none() && find("X-Amz-Credential").is_none() {
            return Err(Unreadable::Absent);
        }
        let need = |name: &str| {
            find(name).ok_or_else(|| garbled(&format!("AWS query-string parameters must include '{name}'.")))
        };
        if need("X-Amz-Algorithm")? != ALGORITHM {
            return Err(garbled("X-Amz-Algorithm only supports AWS4-HMAC-SHA256."));
        }
        let seconds = need("X-Amz-Expires")?.parse();
        let seconds = seconds.map_err(|_| garbled("X-Amz-Expires must be a number of seconds."))?;
        let mut claim = Self::of_credential(&need("X-Amz-Credential")?)?;
        claim.signed_headers = split_names(&need("X-Amz-SignedHeaders")?);
        claim.signature = need("X-Amz-Signature")?;
        claim.time = parse_time(&need("X-Amz-Date")?)?;
        claim.place = Place::Query(Duration::from_secs(seconds));
        Ok(claim)
    }

    /// `key/20260131/eu-west-1/dynamodb/aws4_request`
    fn of_credential(credential: &str) -> Result<Self, Unreadable> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key, date, region, service, "aws4_request"] = parts[..] else {
            return Err(garbled(&format!(
                "Credential must have exactly 5 slash-delimited elements, the last 'aws4_request', \
                 got '{credential}'."
            )));
        };
        Ok(Self {
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time: OffsetDateTime::UNIX_EPOCH,
            signed_headers: Vec::new(),
            signature: String::new(),
            place: Place::Headers,
        })
    }
}

/// The service in the scope of a request's credential, if that much can be read.
pub(crate) fn service(request: &Parts) -> Option<String> {
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = match header {
        Some(value) => {
            let (_, rest) = value.split_once("Credential=")?;
            rest.split([',', ' ']).next()?.to_owned()
        }
        None => {
            let query = request.uri.query()?.as_bytes();
            form_urlencoded::parse(query).find(|(name, _)| name == "X-Amz-Credential")?.1.into_owned()
        }
    };
    credential.split('/').nth(3).map(str::to_owned)
}

fn parse_time(time: &str) -> Result<OffsetDateTime, Unreadable> {
    let parsed = PrimitiveDateTime::parse(time, TIME);
    let time =
        parsed.map_err(|_| garbled("Date must be in ISO-8601 'basic format', as 20260131T235959Z."))?;
    Ok(time.assume_utc())
}

fn split_names(names: &str) -> Vec<String> {
    names.split(';').map(str::to_owned).collect()
}

fn garbled(reason: &str) -> Unreadable {
    Unreadable::Garbled(reason.to_owned())
}
