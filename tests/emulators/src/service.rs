//! Which service and operation a request is for. What it asks is not looked at further here.

use crate::scope;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A service that is stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    DynamoDb,
    S3,
    Sns,
    Smtp,
}

impl Service {
    /// Its name, also in a credential's scope.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::S3 => "s3",
            Self::Sns => "sns",
            Self::Smtp => "smtp",
        }
    }

    /// The service that an HTTP request is for.
    ///
    /// # Behavior
    /// `X-Amz-Target` means DynamoDB; so does, else, the service in the credential's scope; then a form posted to
    /// `/` means SNS; all else is S3's.
    pub(crate) fn of(request: &Parts) -> Self {
        if request.headers.contains_key("x-amz-target") {
            return Self::DynamoDb;
        }
        match scope::service(request).as_deref() {
            Some("dynamodb") => Self::DynamoDb,
            Some("sns") => Self::Sns,
            Some("s3") => Self::S3,
            _ if is_form(request) && request.uri.path() == "/" => Self::Sns,
            _ => Self::S3,
        }
    }
}

fn is_form(request: &Parts) -> bool {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

/// The DynamoDB operation that the target header names.
pub(crate) fn dynamodb_operation(request: &Parts) -> String {
    let target =
        request.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

/// The S3 operation of a path-style request.
pub(crate) fn s3_operation(request: &Parts) -> &'static str {
    let (bucket, key) = bucket_and_key(&request.uri);
    let query = Query::of(&request.uri);
    match (bucket.is_empty(), key.is_empty()) {
        (true, _) => "ListBuckets",
        (false, true) => bucket_operation(&request.method, &query),
        (false, false) => object_operation(request, &query),
    }
}

/// The bucket and key in a path, still percent-encoded.
pub(crate) fn bucket_and_key(uri: &Uri) -> (&str, &str) {
    let path = uri.path().trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

fn bucket_operation(method: &Method, query: &Query<'_>) -> &'static str {
    match *method {
        Method::HEAD => "HeadBucket",
        Method::PUT if query.has("cors") => "PutBucketCors",
        Method::PUT if query.has("lifecycle") => "PutBucketLifecycleConfiguration",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if query.has("delete") => "DeleteObjects",
        Method::POST => "PostObject",
        _ if query.has("uploads") => "ListMultipartUploads",
        _ if query.has("location") => "GetBucketLocation",
        _ if query.has("cors") => "GetBucketCors",
        _ if query.has("lifecycle") => "GetBucketLifecycleConfiguration",
        _ if query.has("list-type") => "ListObjectsV2",
        _ => "ListObjects",
    }
}

fn object_operation(request: &Parts, query: &Query<'_>) -> &'static str {
    let copies = request.headers.contains_key("x-amz-copy-source");
    match request.method {
        Method::HEAD => "HeadObject",
        Method::PUT if query.has("partNumber") && copies => "UploadPartCopy",
        Method::PUT if query.has("partNumber") => "UploadPart",
        Method::PUT if copies => "CopyObject",
        Method::PUT => "PutObject",
        Method::POST if query.has("uploads") => "CreateMultipartUpload",
        Method::POST => "CompleteMultipartUpload",
        Method::DELETE if query.has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        _ if query.has("uploadId") => "ListParts",
        _ if query.has("attributes") => "GetObjectAttributes",
        _ => "GetObject",
    }
}

/// The names in a query string.
struct Query<'a>(Vec<Cow<'a, str>>);

impl<'a> Query<'a> {
    fn of(uri: &'a Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|given| given == name)
    }
}
