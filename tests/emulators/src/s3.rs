//! S3: s3s with its file system, which checks signatures itself, and the rules it leaves out.

mod rules;

use crate::answer::{self, Answer, BoxError};
use crate::refusal::AwsError;
use crate::service::Service;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use rules::Rules;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::io;
use std::path::Path;

/// The object store.
#[derive(Debug)]
pub(crate) struct S3(S3Service);

impl S3 {
    /// Opens the folder, which must exist.
    pub(crate) fn open(folder: &Path, access_key: &str, secret_key: &str) -> io::Result<Self> {
        let files = FileSystem::new(folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_access(Rules::new(folder));
        Ok(Self(builder.build()))
    }

    /// Answers a request; a browser may read the answer whatever its origin.
    pub(crate) async fn answer(&self, request: Parts, body: s3s::Body) -> Answer {
        let browser = request.headers.contains_key(ORIGIN);
        let mut answer = match self.0.call(Request::from_parts(request, body)).await {
            Ok(answer) => answer.map(|body| body.map_err(BoxError::from).boxed_unsync()),
            Err(error) => {
                let error = BoxError::from(error);
                AwsError::new(500, "InternalError", error.to_string()).answer(Service::S3)
            }
        };
        if browser {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            let exposed = "ETag, Content-Disposition, Content-Range, x-amz-checksum-sha256, x-amz-request-id";
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        }
        answer
    }
}

/// Whether a browser asks what it may send.
pub(crate) fn is_preflight(request: &Parts) -> bool {
    let headers = &request.headers;
    request.method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets a browser send whatever it asks for.
pub(crate) fn preflight(asked: &HeaderMap) -> Answer {
    let mut answer = answer::empty(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    answer
}
