//! A decorator for every port: each call goes by the [`FaultPlan`].

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::{Request, Response};
use portico_core::auth::keys::PublicKey;
use portico_core::auth::password::{HashOutcome, HashWork};
use portico_core::dynamo::client::{Answer, DynamoClient, Failure};
use portico_core::dynamo::request::Request as DynamoRequest;
use portico_core::http::body::{Body, BodyError};
use portico_core::memory::entropy::SeededEntropy;
use portico_core::ports::Ports;
use portico_core::ports::background::Background;
use portico_core::ports::blobs::{
    Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, Blobs, ByteRange, Presigned, PresignedGetAnswer,
    PresignedPutTerms, Presigner, PutTerms,
};
use portico_core::ports::entropy::{Entropy, EntropyError};
use portico_core::ports::hasher::{Busy, Hasher};
use portico_core::ports::http_client::{HttpClient, HttpError};
use portico_core::ports::limiter::{Limiter, RateDecision};
use portico_core::ports::mailer::{Mail, Mailer, SendError};
use portico_core::ports::signer::{Signer, SignerError};
use portico_core::ports::sms::{Sms, SmsSender};
use portico_core::ports::store::{
    Key, Page, Query, Raw, Store, StoreError, StoreErrorKind, Versioned, Write,
};
use portico_core::time::Timestamp;

use crate::plan::{Call, FaultPlan, Way};

/// What changes nothing fails alike whether or not it was done.
const PURE: &[Way] = &[Way::Refused, Way::TimedOut, Way::Slow, Way::Outage];
const EFFECTIVE: &[Way] =
    &[Way::Refused, Way::Applied, Way::TimedOut, Way::TimedOutApplied, Way::Slow, Way::Outage];
const READING: &[Way] = &[Way::Refused, Way::Throttled, Way::TimedOut, Way::Slow, Way::Outage];
const WRITING: &[Way] = &[
    Way::Refused,
    Way::Throttled,
    Way::Applied,
    Way::TimedOut,
    Way::TimedOutApplied,
    Way::Slow,
    Way::Outage,
];
const STREAMING: &[Way] = &[Way::Refused, Way::TimedOut, Way::Slow, Way::BrokenOff, Way::Outage];
/// What has no time to lose and nothing to undo.
const INSTANT: &[Way] = &[Way::Refused, Way::Outage];
/// What has no way to fail but to refuse.
const DECIDING: &[Way] = &[Way::Refused, Way::Slow];
/// An outage of DynamoDB is one of the store; here one attempt fails, and the next is heard.
const ASKING: &[Way] = &[Way::Refused, Way::Throttled, Way::TimedOut, Way::Slow];
const ASKING_TO_WRITE: &[Way] =
    &[Way::Refused, Way::Throttled, Way::Applied, Way::TimedOut, Way::TimedOutApplied, Way::Slow];

/// How long a port may take, in seconds: beyond the deadline of any, and below the first pause of the outbox.
const PATIENCE: i64 = 20;

/// The same for one attempt to reach DynamoDB, of which there may be several.
const ATTEMPT: i64 = 5;

const fn call(port: &'static str, method: &'static str, ways: &'static [Way]) -> Call {
    Call { port, method, ways, timeout_seconds: PATIENCE }
}

/// Puts a decorator around every port.
pub(crate) fn decorate(ports: &mut Ports, plan: &Arc<FaultPlan>, seed: u64) -> Arc<FaultyEntropy> {
    let entropy = Arc::new(FaultyEntropy::new(plan.clone(), seed));
    *ports = Ports {
        store: Arc::new(Faulty::of(plan, ports.store.clone())),
        blobs: Arc::new(Faulty::of(plan, ports.blobs.clone())),
        presigner: ports
            .presigner
            .clone()
            .map(|inner| Arc::new(Faulty::of(plan, inner)) as Arc<dyn Presigner>),
        mailer: Arc::new(Faulty::of(plan, ports.mailer.clone())),
        sms: ports.sms.clone().map(|inner| Arc::new(Faulty::of(plan, inner)) as Arc<dyn SmsSender>),
        http: Arc::new(Faulty::of(plan, ports.http.clone())),
        limiter: Arc::new(Faulty::of(plan, ports.limiter.clone())),
        signer: Arc::new(Faulty::of(plan, ports.signer.clone())),
        hasher: Arc::new(Faulty::of(plan, ports.hasher.clone())),
        clock: ports.clock.clone(),
        entropy: entropy.clone(),
        background: Arc::new(Faulty::of(plan, ports.background.clone())),
    };
    entropy
}

/// A port in front of another.
#[derive(Debug)]
pub(crate) struct Faulty<P: ?Sized> {
    plan: Arc<FaultPlan>,
    inner: Arc<P>,
}

impl<P: ?Sized> Faulty<P> {
    pub(crate) fn of(plan: &Arc<FaultPlan>, inner: Arc<P>) -> Self {
        Self { plan: plan.clone(), inner }
    }
}

fn store_failure(way: Way) -> StoreError {
    match way {
        Way::Throttled => StoreError::new(StoreErrorKind::Throttled, "told to be busy"),
        way => StoreError::new(StoreErrorKind::Unavailable, format!("told to fail: {way:?}")),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Faulty<dyn Store> {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.plan.call(call("store", "get", READING), store_failure, self.inner.get(key)).await
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        self.plan.call(call("store", "get", READING), store_failure, self.inner.get_raw(key)).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.plan.call(call("store", "query", READING), store_failure, self.inner.query(query)).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.plan.note(writes);
        self.plan.call(call("store", "transact", WRITING), store_failure, self.inner.transact(writes)).await
    }
}

fn blob_failure(way: Way) -> BlobError {
    BlobError::new(BlobErrorKind::Unavailable, format!("told to fail: {way:?}"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Blobs for Faulty<dyn Blobs> {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        self.plan.call(call("blobs", "put", EFFECTIVE), blob_failure, self.inner.put(key, terms, body)).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        let this = call("blobs", "get", STREAMING);
        // Counted here, and only then let through, for a body can break off besides.
        match self.plan.next(this) {
            Some(Way::BrokenOff) => Ok(self.inner.get(key, range).await?.map(broken_off)),
            None | Some(Way::Slow) => self.inner.get(key, range).await,
            Some(way) => Err(blob_failure(way)),
        }
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        self.plan.call(call("blobs", "head", PURE), blob_failure, self.inner.head(key)).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.plan.call(call("blobs", "delete", EFFECTIVE), blob_failure, self.inner.delete(key)).await
    }
}

fn broken_off(blob: Blob) -> Blob {
    let pieces = [Ok(Bytes::from_static(b"a")), Err(BodyError::new("told to break off"))];
    Blob { body: Body::stream(stream::iter(pieces)), ..blob }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Presigner for Faulty<dyn Presigner> {
    async fn presign_put(
        &self,
        key: &BlobKey,
        terms: &PresignedPutTerms,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        let made = self.inner.presign_put(key, terms, expires_at);
        self.plan.call(call("presigner", "presign_put", PURE), blob_failure, made).await
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        let made = self.inner.presign_get(key, answer, expires_at);
        self.plan.call(call("presigner", "presign_get", PURE), blob_failure, made).await
    }
}

fn send_failure(way: Way) -> SendError {
    SendError::temporary(format!("told to fail: {way:?}"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Mailer for Faulty<dyn Mailer> {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.plan.call(call("mailer", "send", EFFECTIVE), send_failure, self.inner.send(mail)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SmsSender for Faulty<dyn SmsSender> {
    async fn send(&self, sms: &Sms) -> Result<(), SendError> {
        self.plan.call(call("sms", "send", EFFECTIVE), send_failure, self.inner.send(sms)).await
    }
}

fn http_failure(way: Way) -> HttpError {
    HttpError(format!("told to fail: {way:?}"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl HttpClient for Faulty<dyn HttpClient> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.plan.call(call("http", "send", PURE), http_failure, self.inner.send(request)).await
    }

    async fn stream(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        self.plan.call(call("http", "stream", PURE), http_failure, self.inner.stream(request)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Limiter for Faulty<dyn Limiter> {
    async fn check(&self, key: &str) -> RateDecision {
        let refusal = |_| RateDecision { allowed: false, remaining: Some(0), reset_seconds: 1 };
        let decided = async { Ok(self.inner.check(key).await) };
        let decision = self.plan.call(call("limiter", "check", DECIDING), refusal, decided).await;
        decision.unwrap_or_else(|refused| refused)
    }
}

fn signer_failure(way: Way) -> SignerError {
    SignerError(format!("told to fail: {way:?}"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Signer for Faulty<dyn Signer> {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.plan.call(call("signer", "sign", PURE), signer_failure, self.inner.sign(message)).await
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        let verified = self.inner.verify(key, message, signature);
        self.plan.call(call("signer", "verify", PURE), signer_failure, verified).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Hasher for Faulty<dyn Hasher> {
    async fn run(&self, work: HashWork) -> Result<HashOutcome, Busy> {
        let busy = |_| Busy { retry_after_seconds: 1 };
        self.plan.call(call("hasher", "run", PURE), busy, self.inner.run(work)).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl Background for Faulty<dyn Background> {
    /// Refused is forgotten, as a crash would.
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        if self.plan.next(call("background", "spawn", INSTANT)).is_none() {
            self.inner.spawn(work);
        }
    }
}

/// Random bytes that repeat with a seed, which each point gives anew.
#[derive(Debug)]
pub(crate) struct FaultyEntropy {
    plan: Arc<FaultPlan>,
    inner: Mutex<SeededEntropy>,
}

impl FaultyEntropy {
    fn new(plan: Arc<FaultPlan>, seed: u64) -> Self {
        Self { plan, inner: Mutex::new(SeededEntropy::new(seed)) }
    }

    pub(crate) fn reseed(&self, seed: u64) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = SeededEntropy::new(seed);
    }
}

#[deny(clippy::missing_trait_methods)]
impl Entropy for FaultyEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        if self.plan.next(call("entropy", "fill", INSTANT)).is_some() {
            return Err(EntropyError("told to fail".to_owned()));
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes)
    }
}

fn dynamo_failure(way: Way) -> Failure {
    match way {
        Way::Throttled => Failure::refused(400, Some("ThrottlingException".to_owned()), "told to be busy"),
        Way::Applied => Failure::refused(500, Some("InternalServerError".to_owned()), "told to fail"),
        Way::TimedOut | Way::TimedOutApplied => Failure::unanswered("told to time out", true),
        _ => Failure::unanswered("told to be out of reach", false),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DynamoClient for Faulty<dyn DynamoClient> {
    async fn send(&self, request: &DynamoRequest) -> Result<Answer, Failure> {
        let (method, ways) = match request {
            DynamoRequest::GetItem(_) => ("GetItem", ASKING),
            DynamoRequest::Query(_) => ("Query", ASKING),
            DynamoRequest::Scan(_) => ("Scan", ASKING),
            DynamoRequest::PutItem(_) => ("PutItem", ASKING_TO_WRITE),
            DynamoRequest::DeleteItem(_) => ("DeleteItem", ASKING_TO_WRITE),
            DynamoRequest::TransactWriteItems(_) => ("TransactWriteItems", ASKING_TO_WRITE),
            _ => return self.inner.send(request).await,
        };
        let this = Call { timeout_seconds: ATTEMPT, ..call("dynamo", method, ways) };
        self.plan.call(this, dynamo_failure, self.inner.send(request)).await
    }
}
