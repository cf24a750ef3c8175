//! Requests in the form of S3's REST API.
//!
//! A key needs no encoding: it holds nothing but what a path may ([`BlobKey`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH, RANGE};
use http::request::Builder;
use http::{HeaderName, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portico_core::config::aws::AwsSettings;
use portico_core::ports::blobs::{BlobKey, ByteRange, PresignedGetAnswer, PresignedPutTerms};
use portico_core::s3::request::{self as asked, CompletedPart, Description, Operation, Presignable};
use serde::Serialize;

/// What stands for itself in a query (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) static CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

static CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// How a header begins that holds metadata.
pub(super) const METADATA: &str = "x-amz-meta-";

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// A URL or a header has a form that HTTP does not know.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The list of parts cannot be written.
    #[error(transparent)]
    Xml(#[from] quick_xml::SeError),
}

/// Where a bucket is: in the host's name, or in the path of an emulator. A dot in the name would be one too many for
/// the certificate.
pub(super) fn bucket_url(AwsSettings { region, endpoint_url, .. }: &AwsSettings, bucket: &str) -> String {
    match endpoint_url {
        Some(url) => format!("{}/{bucket}", url.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
    }
}

/// The request that makes the bucket, in a region other than S3's first one if so.
pub(super) fn make_creation(bucket_url: &str, region: &str) -> Result<Request<Bytes>, Unmade> {
    let body = match region {
        "us-east-1" => String::new(),
        _ => format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ),
    };
    Ok(Request::put(bucket_url).body(Bytes::from(body))?)
}

/// The request for what is asked.
pub(super) fn make(
    bucket_url: &str,
    asked::Request { key, operation }: &asked::Request,
) -> Result<Request<Bytes>, Unmade> {
    let object = format!("{bucket_url}/{key}");
    let request = Request::builder();
    let (request, body) = match operation {
        Operation::HeadObject => {
            (request.method(Method::HEAD).uri(object).header(&CHECKSUM_MODE, "ENABLED"), Bytes::new())
        }
        Operation::GetObject { range: None } => {
            (request.uri(object).header(&CHECKSUM_MODE, "ENABLED"), Bytes::new())
        }
        Operation::GetObject { range: Some(ByteRange { first, last }) } => {
            (request.uri(object).header(RANGE, format!("bytes={first}-{last}")), Bytes::new())
        }
        Operation::PutObject { description, body, sha256, only_if_absent } => {
            let request = described(request.method(Method::PUT).uri(object), description);
            let request = checked(request, sha256.as_ref());
            (conditional(request, *only_if_absent), body.clone())
        }
        Operation::DeleteObject => (request.method(Method::DELETE).uri(object), Bytes::new()),
        Operation::CreateMultipartUpload { description } => {
            let request = request.method(Method::POST).uri(format!("{object}?uploads="));
            (described(request, description), Bytes::new())
        }
        Operation::UploadPart { upload_id, number, body } => {
            let uri = format!("{object}?partNumber={number}&uploadId={}", encoded(upload_id));
            (request.method(Method::PUT).uri(uri), body.clone())
        }
        Operation::CompleteMultipartUpload { upload_id, parts, only_if_absent } => {
            let uri = format!("{object}?uploadId={}", encoded(upload_id));
            let request = request.method(Method::POST).uri(uri).header(CONTENT_TYPE, "application/xml");
            (conditional(request, *only_if_absent), list(parts)?)
        }
        Operation::AbortMultipartUpload { upload_id } => {
            let uri = format!("{object}?uploadId={}", encoded(upload_id));
            (request.method(Method::DELETE).uri(uri), Bytes::new())
        }
    };
    Ok(request.body(body)?)
}

/// The request that somebody else will make, with the headers that are to be signed.
pub(super) fn make_presignable(
    bucket_url: &str,
    key: &BlobKey,
    request: &Presignable,
) -> Result<Request<()>, Unmade> {
    let object = format!("{bucket_url}/{key}");
    let request = match request {
        Presignable::PutObject(PresignedPutTerms { length, content_type, sha256 }) => {
            let request =
                Request::put(object).header(CONTENT_TYPE, content_type).header(CONTENT_LENGTH, *length);
            conditional(checked(request, sha256.as_ref()), true)
        }
        Presignable::GetObject(PresignedGetAnswer { content_type, content_disposition }) => {
            let (content_type, disposition) = (encoded(content_type), encoded(content_disposition));
            Request::get(format!(
                "{object}?response-content-disposition={disposition}&response-content-type={content_type}"
            ))
        }
    };
    Ok(request.body(())?)
}

fn described(request: Builder, Description { content_type, metadata }: &Description) -> Builder {
    metadata.iter().fold(request.header(CONTENT_TYPE, content_type), |request, (name, value)| {
        request.header(format!("{METADATA}{name}"), value)
    })
}

fn checked(request: Builder, sha256: Option<&[u8; 32]>) -> Builder {
    match sha256 {
        Some(hash) => request.header(&CHECKSUM, STANDARD.encode(hash)),
        None => request,
    }
}

fn conditional(request: Builder, only_if_absent: bool) -> Builder {
    if only_if_absent { request.header(IF_NONE_MATCH, "*") } else { request }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The parts to put together.
#[derive(Serialize)]
#[serde(rename = "CompleteMultipartUpload")]
struct List<'parts> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    #[serde(rename = "Part")]
    parts: Vec<Part<'parts>>,
}

#[derive(Serialize)]
struct Part<'parts> {
    #[serde(rename = "ETag")]
    e_tag: &'parts str,
    #[serde(rename = "PartNumber")]
    number: u32,
}

fn list(parts: &[CompletedPart]) -> Result<Bytes, Unmade> {
    let parts = parts.iter().map(|CompletedPart { number, e_tag }| Part { e_tag, number: *number }).collect();
    let list = List { namespace: "http://s3.amazonaws.com/doc/2006-03-01/", parts };
    Ok(Bytes::from(quick_xml::se::to_string(&list)?))
}
