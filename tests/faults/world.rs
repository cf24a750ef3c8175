//! Where a flow runs: the app in this process over a store of some kind, every port of it ready to fail.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use portico::store::sqlite::SqliteStore;
use portico_core::App;
use portico_core::auth::keys::{PrivateKey, SigningKeys};
use portico_core::dynamo::client::DynamoClient;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::store::DynamoStore;
use portico_core::http::body::Body;
use portico_core::http::client_addr::ClientAddr;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::memory::store::MemoryStore;
use portico_core::ports::blobs::{
    BlobError, BlobKey, Presigned, PresignedGetAnswer, PresignedPutTerms, Presigner,
};
use portico_core::ports::clock::Clock;
use portico_core::ports::store::Store;
use portico_core::time::Timestamp;
use portico_tests::client::Answer;
use portico_tests::lab::{Lab, new_key_pem, settings, test_keys};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::plan::FaultPlan;
use crate::ports::{self, Faulty, FaultyEntropy};

/// Whom Google's tokens are for.
const GOOGLE_CLIENT_ID: &str = "1234.apps.googleusercontent.com";

/// The object store that presigned URLs lead to, where there is one.
pub(crate) const BUCKET: &str = "https://bucket.example/";

/// What keeps the items.
#[derive(Clone)]
pub(crate) enum Backend {
    Memory,
    Sqlite,
    /// DynamoDB's emulator, of which the store fails.
    DynamoStore(Arc<dyn DynamoClient>),
    /// The same, of which single attempts to reach it fail.
    DynamoClient(Arc<dyn DynamoClient>),
}

impl Backend {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::DynamoStore(_) => "DynamoDB",
            Self::DynamoClient(_) => "DynamoDB, below the retries",
        }
    }

    /// Which port's calls fail; on memory, those of all.
    const fn only(&self) -> Option<&'static str> {
        match self {
            Self::Memory => None,
            Self::Sqlite | Self::DynamoStore(_) => Some("store"),
            Self::DynamoClient(_) => Some("dynamo"),
        }
    }

    /// Whether each point has a world of its own, because that costs nothing.
    pub(crate) const fn is_fresh(&self) -> bool {
        matches!(self, Self::Memory)
    }

    /// Every how manyth call fails where each costs a round trip, unless all are to.
    pub(crate) const fn stride(&self) -> Option<usize> {
        match self {
            Self::Memory | Self::Sqlite => None,
            // What the app makes of the store's failures is seen on the others.
            Self::DynamoStore(_) => Some(6),
            Self::DynamoClient(_) => Some(4),
        }
    }

    /// Whether one failed attempt is no failure at all.
    pub(crate) const fn forgives(&self) -> bool {
        matches!(self, Self::DynamoClient(_))
    }
}

/// An app, its ports, and the plan by which they fail.
pub(crate) struct World {
    pub(crate) lab: Arc<Lab>,
    pub(crate) plan: Arc<FaultPlan>,
    pub(crate) entropy: Arc<FaultyEntropy>,
    /// The store behind its decorator.
    pub(crate) store: Arc<dyn Store>,
    _dir: Option<TempDir>,
}

/// Changes the store or the blobs before they are decorated.
pub(crate) type Sabotage = fn(&mut portico_core::ports::Ports);

impl World {
    /// A new world; with an object store that clients send bytes to themselves, if it presigns.
    pub(crate) fn new(backend: &Backend, seed: u64, presigns: bool, sabotage: Option<Sabotage>) -> Self {
        let clock = tomorrow();
        let plan = Arc::new(FaultPlan::new(clock.clone(), backend.only()));
        let entropy = Arc::new(SeededEntropy::new(seed ^ 0x5eed));
        let mut dir = None;
        let store: Arc<dyn Store> = match backend {
            Backend::Memory => Arc::new(MemoryStore::new(clock.clone(), entropy)),
            Backend::Sqlite => {
                let dir = dir.insert(temporary_folder());
                Arc::new(SqliteStore::open(dir.path(), clock.clone(), entropy).expect("a new database"))
            }
            Backend::DynamoStore(client) => dynamo(client.clone(), &clock),
            Backend::DynamoClient(client) => dynamo(Arc::new(Faulty::of(&plan, client.clone())), &clock),
        };
        let mut lab = Lab::on_store(store, clock);
        lab.ports.http = Arc::new(MemoryHttpClient::new(|request| Ok(outside(&request))));
        lab.ports.presigner = presigns.then(|| Arc::new(Bucket) as Arc<dyn Presigner>);
        if let Some(sabotage) = sabotage {
            sabotage(&mut lab.ports);
        }
        let store = lab.ports.store.clone();
        let entropy = ports::decorate(&mut lab.ports, &plan, seed);
        let variables = [
            ("GOOGLE_CLIENT_ID", GOOGLE_CLIENT_ID),
            ("HIBP", "on"),
            ("SMS_DAILY_LIMIT", "1000000"),
            ("JWT_EXPIRY", "365d"),
        ];
        let settings = settings(&variables.map(|(name, value)| (name, value.to_owned())));
        lab.keys = keys();
        lab.app = App::new(settings, lab.keys.clone(), lab.ports.clone());
        Self { lab: Arc::new(lab), plan, entropy, store, _dir: dir }
    }

    /// Sends a request and does what follows the answer; `None` if its body broke off.
    pub(crate) async fn send(&self, mut request: Request<Body>, addr: IpAddr) -> Option<Answer> {
        self.lab.clock.advance_ms(1);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("127.0.0.1:3000"));
        request.extensions_mut().insert(ClientAddr(addr));
        let (parts, body) = self.lab.app.handle(request).await.into_parts();
        let body = body.collect().await;
        self.lab.background.run().await;
        let bytes = body.ok()?.to_bytes();
        Some(Answer { status: parts.status.as_u16(), headers: parts.headers, bytes })
    }

    /// A Google ID token of a person.
    pub(crate) fn google_token(&self, sub: &str, email: &str) -> String {
        let now = self.lab.clock.now().as_seconds();
        let header = json!({ "alg": "RS256", "kid": "g1", "typ": "JWT" });
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": GOOGLE_CLIENT_ID, "sub": sub, "email": email,
            "email_verified": true, "iat": now, "exp": now + 3600,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let key = EncodingKey::from_rsa_pem(google_pem().as_bytes()).expect("a key");
        format!(
            "{message}.{}",
            crypto::sign(message.as_bytes(), &key, Algorithm::RS256).expect("a signature")
        )
    }
}

/// An address of its own for each point, so that none is limited by what others did.
pub(crate) fn address(point: u32) -> IpAddr {
    let [_, a, b, c] = point.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, a, b, c))
}

fn keys() -> SigningKeys {
    static KEYS: OnceLock<SigningKeys> = OnceLock::new();
    KEYS.get_or_init(test_keys).clone()
}

/// In memory where the system has such a place: no power will be cut.
fn temporary_folder() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

/// A whole second, a day from now: DynamoDB removes what has expired by its own clock.
fn tomorrow() -> Arc<ManualClock> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a right clock").as_secs();
    let days = i64::try_from(now / Duration::from_secs(24 * 60 * 60).as_secs()).expect("a right clock");
    Arc::new(ManualClock::at(Timestamp::from_millis(0).plus_seconds((days + 2) * 24 * 60 * 60)))
}

/// No two worlds make the same tokens of transactions, which DynamoDB remembers.
static WORLDS: AtomicU64 = AtomicU64::new(0);

fn dynamo(client: Arc<dyn DynamoClient>, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
    let clock = Arc::new(RestlessClock::over(clock.clone()));
    let entropy = Arc::new(SeededEntropy::new(WORLDS.fetch_add(1, Ordering::Relaxed)));
    Arc::new(DynamoStore::new(client, clock, entropy, TableNames::default()))
}

/// Google's keys, to be fetched anew each time; and a list of leaked passwords with none in it.
fn outside(request: &Request<Bytes>) -> Response<Bytes> {
    if request.uri().host() == Some("api.pwnedpasswords.com") {
        return Response::new(Bytes::new());
    }
    static KEY: OnceLock<Value> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let private = PrivateKey::from_pem(google_pem()).expect("a usable key");
        let mut key = serde_json::to_value(private.public().to_jwk()).expect("JSON");
        key["kid"] = json!("g1");
        key
    });
    Response::new(Bytes::from(json!({ "keys": [key] }).to_string()))
}

fn google_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(new_key_pem)
}

/// An object store's presigner; what is put there, the test puts.
#[derive(Debug)]
struct Bucket;

#[async_trait]
impl Presigner for Bucket {
    async fn presign_put(
        &self,
        key: &BlobKey,
        _terms: &PresignedPutTerms,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        Ok(Presigned { method: "PUT", url: format!("{BUCKET}{key}"), headers: HeaderMap::new(), expires_at })
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        _answer: &PresignedGetAnswer,
        expires_at: Timestamp,
    ) -> Result<Presigned, BlobError> {
        Ok(Presigned { method: "GET", url: format!("{BUCKET}{key}"), headers: HeaderMap::new(), expires_at })
    }
}
