//! The app in this process, with every port in the test's hands: the clock moves when told, the mailer fails when told,
//! work after the answer waits until told.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderValue};
use http_body_util::BodyExt;
use portico::signer::AwsLcSigner;
use portico::store::sqlite::SqliteStore;
use portico_core::App;
use portico_core::auth::keys::{PrivateKey, SigningKeys};
use portico_core::config::{Settings, Vars};
use portico_core::http::body::Body;
use portico_core::http::client_addr::ClientAddr;
use portico_core::memory::background::QueuedBackground;
use portico_core::memory::blobs::MemoryBlobs;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::hasher::InlineHasher;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::memory::limiter::MemoryLimiter;
use portico_core::memory::mailer::{MemoryMailer, MemorySms};
use portico_core::memory::store::MemoryStore;
use portico_core::ports::Ports;
use portico_core::ports::store::Store;
use portico_core::secret::Secret;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use tempfile::TempDir;

use crate::client::{Answer, Client};
use crate::hosts::Host;
use crate::messages::Message;

/// The address that a lab's requests come from unless told otherwise.
pub const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Settings of test deployments: hashing costs little, and nobody is limited.
pub const TEST_VARIABLES: [(&str, &str); 3] = [
    ("PASSWORD_HASH", "argon2id,m=64,t=1,p=1"),
    ("RATE_LIMIT_PER_SECOND", "1000000"),
    ("RATE_LIMIT_BURST", "1000000"),
];

/// No two labs draw the same random bytes, not even two over one store.
static SEEDS: AtomicU64 = AtomicU64::new(2);

/// An app and its ports.
pub struct Lab {
    /// The app.
    pub app: Arc<App>,
    /// Its ports, before they were given away.
    pub ports: Ports,
    /// Its keys.
    pub keys: SigningKeys,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its blobs.
    pub blobs: Arc<MemoryBlobs>,
    /// Its mailer.
    pub mailer: Arc<MemoryMailer>,
    /// Its SMS sender.
    pub sms: Arc<MemorySms>,
    /// Its work after the answer.
    pub background: Arc<QueuedBackground>,
    addr: Mutex<IpAddr>,
    settled: AtomicBool,
    _dir: Option<TempDir>,
}

/// Changes the ports of a lab before its app gets them.
pub type PortsChange = Box<dyn FnOnce(&mut Ports)>;

/// What a lab is made of.
#[derive(Default)]
pub struct LabOptions {
    /// Variables, besides [`TEST_VARIABLES`]; a later value of a name wins.
    pub variables: Vec<(&'static str, String)>,
    /// Changes the ports before the app gets them.
    pub ports: Option<PortsChange>,
    /// Other keys than [`test_keys`].
    pub keys: Option<SigningKeys>,
}

impl fmt::Debug for LabOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabOptions").field("variables", &self.variables).finish_non_exhaustive()
    }
}

impl Lab {
    /// A lab on the memory store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(LabOptions::default())
    }

    /// A lab on the memory store, with other settings.
    #[must_use]
    pub fn with_variables(variables: &[(&'static str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self::with(LabOptions { variables, ..LabOptions::default() })
    }

    /// A lab on the memory store, made to order.
    #[must_use]
    pub fn with(options: LabOptions) -> Self {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let store = Arc::new(MemoryStore::new(clock.clone(), entropy));
        Self::assemble(options, store, None, clock, None)
    }

    /// A lab on SQLite in a folder of its own.
    ///
    /// # Panics
    /// When the database cannot be opened.
    #[must_use]
    pub fn on_sqlite() -> Self {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(dir.path(), clock.clone(), entropy).expect("a new database");
        Self::assemble(LabOptions::default(), Arc::new(store), None, clock, Some(dir))
    }

    /// A lab on a store that is there already, which goes by the given clock.
    #[must_use]
    pub fn on_store(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        Self::assemble(LabOptions::default(), store, None, clock, None)
    }

    fn assemble(
        options: LabOptions,
        store: Arc<dyn Store>,
        blobs: Option<Arc<MemoryBlobs>>,
        clock: Arc<ManualClock>,
        dir: Option<TempDir>,
    ) -> Self {
        crate::logs::install();
        let settings = settings(&options.variables);
        let keys = options.keys.unwrap_or_else(test_keys);
        let (mailer, sms) = (Arc::new(MemoryMailer::default()), Arc::new(MemorySms::default()));
        let background = Arc::new(QueuedBackground::default());
        let blobs = blobs.unwrap_or_default();
        let mut ports = Ports {
            store,
            blobs: blobs.clone(),
            presigner: None,
            mailer: mailer.clone(),
            sms: Some(sms.clone()),
            http: Arc::new(MemoryHttpClient::unreachable()),
            limiter: Arc::new(MemoryLimiter::new(settings.rate_limit, clock.clone())),
            signer: Arc::new(AwsLcSigner::new(&keys).expect("usable keys")),
            hasher: Arc::new(InlineHasher),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(SEEDS.fetch_add(1, Ordering::Relaxed))),
            background: background.clone(),
        };
        if let Some(change) = options.ports {
            change(&mut ports);
        }
        let app = App::new(settings, keys.clone(), ports.clone());
        let addr = Mutex::new(HOME);
        Self {
            app,
            ports,
            keys,
            clock,
            blobs,
            mailer,
            sms,
            background,
            addr,
            settled: AtomicBool::new(true),
            _dir: dir,
        }
    }

    /// The same deployment started anew: same store, blobs and keys, nothing else remembered, other settings.
    #[must_use]
    pub fn restarted(&self, variables: &[(&'static str, &str)], keys: SigningKeys) -> Self {
        let options = LabOptions {
            variables: variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            keys: Some(keys),
            ports: None,
        };
        let (store, clock) = (self.ports.store.clone(), self.clock.clone());
        Self::assemble(options, store, Some(self.blobs.clone()), clock, None)
    }

    /// Somebody who talks to the app.
    #[must_use]
    pub fn client(self: &Arc<Self>) -> Client {
        Client::new(self.clone())
    }

    /// Lets requests come from another address from now on.
    pub fn move_to(&self, addr: IpAddr) {
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner) = addr;
    }

    /// Leaves work after the answer undone until [`QueuedBackground::run`], or does it at once again.
    pub fn settle(&self, settled: bool) {
        self.settled.store(settled, Ordering::SeqCst);
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lab")
    }
}

#[async_trait]
impl Host for Lab {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        // No two requests are at the same instant, so that ids sort as they were made.
        self.clock.advance_ms(1);
        let mut request = request.map(Body::from);
        // As every HTTP client says whom it asks.
        let named = HeaderValue::from_static("127.0.0.1:3000");
        request.headers_mut().entry(header::HOST).or_insert(named);
        let addr = *self.addr.lock().unwrap_or_else(PoisonError::into_inner);
        request.extensions_mut().insert(ClientAddr(addr));
        let (parts, body) = self.app.handle(request).await.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        if self.settled.load(Ordering::SeqCst) {
            self.background.run().await;
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    async fn messages(&self) -> Vec<Message> {
        let mails = self.mailer.sent().into_iter().map(|mail| Message {
            channel: "email".to_owned(),
            to: mail.to,
            subject: mail.subject,
            text: mail.text,
        });
        let texts = self.sms.sent().into_iter().map(|sms| Message {
            channel: "sms".to_owned(),
            to: sms.to,
            subject: String::new(),
            text: sms.text,
        });
        mails.chain(texts).collect()
    }

    async fn create_admin(&self, username: &str, email: &str, password: &str) {
        self.clock.advance_ms(1);
        self.app.create_admin(username, email, Secret::new(password)).await.expect("an Admin");
    }
}

/// Settings made of [`TEST_VARIABLES`] and more.
#[must_use]
pub fn settings(variables: &[(&'static str, String)]) -> Settings {
    let lookup = |name: &str| {
        let own = variables.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
        own.or_else(|| {
            TEST_VARIABLES.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let vars = Vars::new(lookup);
    let settings = Settings::read(&vars);
    vars.finish(settings).expect("valid settings")
}

/// The key that test deployments sign with: made once for each test program.
#[must_use]
pub fn test_keys() -> SigningKeys {
    let private = PrivateKey::from_pem(test_key_pem()).expect("a usable key");
    SigningKeys { private, previous: Vec::new() }
}

/// The PEM form of [`test_keys`].
///
/// # Panics
/// When no key can be made.
pub fn test_key_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(new_key_pem)
}

/// A new private key in PEM form.
///
/// # Panics
/// When no key can be made.
#[must_use]
pub fn new_key_pem() -> String {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
    key.to_pkcs8_pem(LineEnding::LF).expect("a PEM").to_string()
}
