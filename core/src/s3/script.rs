//! A client that plays a script: for tests.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    blobs::S3Blobs,
    client::{Answer, Object, S3Client, Signed},
    request::{Operation, Period, Presignable, Request},
};
use crate::{
    aws::failure::Failure,
    memory::{background::QueuedBackground, entropy::SeededEntropy, restless_clock::RestlessClock},
    ports::blobs::{BlobKey, PutTerms},
};

type Responder = dyn FnMut(&Request) -> Result<Answer, Failure> + Send;

/// Records requests, and answers each by a function.
pub(super) struct Script {
    requests: Mutex<Vec<Request>>,
    respond: Mutex<Box<Responder>>,
    pub(super) clock: Arc<RestlessClock>,
    pub(super) background: Arc<QueuedBackground>,
}

impl Script {
    pub(super) fn answering(
        respond: impl FnMut(&Request) -> Result<Answer, Failure> + Send + 'static,
    ) -> Arc<Self> {
        let (clock, background) = (Arc::default(), Arc::default());
        Arc::new(Self {
            requests: Mutex::default(),
            respond: Mutex::new(Box::new(respond)),
            clock,
            background,
        })
    }

    pub(super) fn blobs(self: &Arc<Self>) -> S3Blobs {
        let entropy = Arc::new(SeededEntropy::new(1));
        S3Blobs::new(self.clone(), self.clock.clone(), entropy, self.background.clone())
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of what was asked, in order.
    pub(super) fn operations(&self) -> Vec<&'static str> {
        self.requests().iter().map(|request| request.operation.name()).collect()
    }
}

#[async_trait]
impl S3Client for Script {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        (self.respond.lock().unwrap_or_else(PoisonError::into_inner))(request)
    }

    async fn presign(&self, key: &BlobKey, request: &Presignable, period: Period) -> Result<Signed, Failure> {
        let url = format!("https://s3/{key}?{request:?}&{period:?}");
        let headers = [("host", "s3"), ("content-length", "5")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Ok(Signed { url, headers: HeaderMap::from_iter(headers) })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// The object that a request to store it makes.
pub(super) fn stored(request: &Request) -> Option<Object> {
    let (Operation::PutObject { description, .. } | Operation::CreateMultipartUpload { description }) =
        &request.operation
    else {
        return None;
    };
    let metadata = description.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Some(Object {
        length: Some(5),
        content_type: Some(description.content_type.clone()),
        metadata: metadata.collect(),
        checksum_sha256: None,
    })
}

/// S3's refusal.
pub(super) fn refused(status: u16, code: &str) -> Failure {
    Failure::refused(status, (!code.is_empty()).then(|| code.to_owned()), "in the script")
}

pub(super) fn key() -> BlobKey {
    BlobKey::parse("files/a/b").unwrap()
}

pub(super) fn terms(only_if_absent: bool) -> PutTerms {
    PutTerms { only_if_absent, ..PutTerms::up_to(1 << 30, "text/plain") }
}
