//! An app in memory, with somebody of each kind in it and something of everything.
//!
//! It is made anew for every input: clock and random bytes begin where they always begin, so that ids and tokens are
//! the same in every world.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures::executor::block_on;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use portico_core::App;
use portico_core::auth::keys::SigningKeys;
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
use portico_core::ports::http_client::HttpClient;
use portico_core::secret::Secret;
use serde_json::{Value, json};

use crate::contract;
use crate::keys::{HashSigner, signing_keys};

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";

/// The audience of Google's tokens.
pub const GOOGLE_CLIENT_ID: &str = "client.apps.googleusercontent.com";

const VARIABLES: [(&str, &str); 5] = [
    ("PASSWORD_HASH", "argon2id,m=8,t=1,p=1"),
    ("RATE_LIMIT_PER_SECOND", "1000000"),
    ("RATE_LIMIT_BURST", "1000000"),
    ("GOOGLE_CLIENT_ID", GOOGLE_CLIENT_ID),
    ("MAX_UPLOAD_BYTES", "65536"),
];

/// What a world differs by.
#[derive(Debug, Default)]
pub struct Options {
    /// Whether every signature of a token counts as good.
    pub believes: bool,
    /// What answers requests to Google; nothing does unless told otherwise.
    pub http: Option<MemoryHttpClient>,
}

/// An app and who is in it.
#[derive(Debug)]
pub struct World {
    /// The app.
    pub app: Arc<App>,
    /// The id of its key.
    pub kid: String,
    clock: Arc<ManualClock>,
    background: Arc<QueuedBackground>,
    /// What placeholders in scripts stand for.
    pub names: Vec<(&'static str, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }
}

impl World {
    /// An app with an Admin, a user, and one of everything that there are lists of.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut world = Self::empty(options);
        let create = world.app.create_admin("root", "root@example.com", Secret::new(PASSWORD));
        block_on(create).expect("an Admin");
        let root = world.send(
            "POST",
            "/v1/sessions/login",
            None,
            &json!({"username": "root", "password": PASSWORD}),
        );
        let ada = world.send(
            "POST",
            "/v1/users",
            None,
            &json!({"username": "ada", "password": PASSWORD, "email": "ada@example.com", "phone": "+491512345678",
                    "first_name": "Ada", "last_name": "Lovelace"}),
        );
        let admin = text(&root, "/access_token");
        let user = text(&ada, "/access_token");
        let status = world.send("POST", "/v1/statuses", Some(&admin), &json!({"description": "away"}));
        let version = world.send("POST", "/v1/app-versions", Some(&admin), &json!({"version": "1.0.0"}));
        world.send("POST", "/v1/notifications", Some(&admin), &json!({"all": true, "message": "hello"}));
        let notices = world.send("GET", "/v1/notifications", Some(&user), &Value::Null);
        let file = json!({"file_name": "a.txt", "base64": "aGVsbG8="});
        let file = world.send("POST", "/v1/files/base64", Some(&user), &file);
        world.names = vec![
            ("{admin}", admin),
            ("{user}", user),
            ("{refresh}", text(&ada, "/refresh_token")),
            ("{root}", text(&root, "/user/id")),
            ("{ada}", text(&ada, "/user/id")),
            ("{session}", text(&ada, "/session/id")),
            ("{device}", text(&ada, "/session/device_id")),
            ("{status}", text(&status, "/id")),
            ("{version}", text(&version, "/id")),
            ("{notice}", text(&notices, "/0/id")),
            ("{file}", text(&file, "/id")),
            ("{last}", String::new()),
        ];
        world
    }

    /// An app that knows nobody.
    #[must_use]
    pub fn empty(options: Options) -> Self {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let (keys, settings) = (signing_keys(), settings());
        let background = Arc::new(QueuedBackground::default());
        let http = options.http.unwrap_or_else(MemoryHttpClient::unreachable);
        let ports = Ports {
            store: Arc::new(MemoryStore::new(clock.clone(), entropy.clone())),
            blobs: Arc::new(MemoryBlobs::default()),
            presigner: None,
            mailer: Arc::new(MemoryMailer::default()),
            sms: Some(Arc::new(MemorySms::default())),
            http: Arc::new(http) as Arc<dyn HttpClient>,
            limiter: Arc::new(MemoryLimiter::new(settings.rate_limit, clock.clone())),
            signer: Arc::new(HashSigner::new(&keys, options.believes)),
            hasher: Arc::new(InlineHasher),
            clock: clock.clone(),
            entropy,
            background: background.clone(),
        };
        let SigningKeys { private, .. } = &keys;
        let kid = private.public().kid.clone();
        Self { app: App::new(settings, keys, ports), kid, clock, background, names: Vec::new() }
    }

    /// What a placeholder stands for.
    ///
    /// # Panics
    /// When there is no such placeholder.
    #[must_use]
    pub fn named(&self, name: &str) -> &str {
        self.names
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value.as_str())
            .expect("a known name")
    }

    /// Sends JSON as somebody, or nothing if it is null.
    ///
    /// # Panics
    /// When the answer breaks the contract.
    pub fn send(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.answer(request.body(Body::from(bytes)).expect("a request"))
    }

    /// Answers a request, and does what remains to be done after the answer.
    ///
    /// # Panics
    /// When the answer breaks the contract.
    pub fn answer(&self, mut request: Request<Body>) -> Answer {
        // No two requests are at the same instant, so that ids sort as they were made.
        self.clock.advance_ms(1);
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        request.extensions_mut().insert(ClientAddr(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.exchange(request);
        contract::check(&method, &path, &answer);
        answer
    }

    fn exchange(&self, request: Request<Body>) -> Answer {
        block_on(async {
            let (parts, body) = self.app.handle(request).await.into_parts();
            let collected = body.collect().await.expect("a body in memory does not break off");
            self.background.run().await;
            let bytes = collected.to_bytes().to_vec();
            Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
        })
    }

    /// Lets time pass.
    pub fn wait(&self, seconds: u32) {
        self.clock.advance(seconds.into());
    }
}

/// A text in an answer's JSON.
fn text(answer: &Answer, pointer: &str) -> String {
    let body = answer.json();
    let text = body.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("{pointer} of {body:#}")).to_owned()
}

fn settings() -> Settings {
    let vars = Vars::new(|name| {
        VARIABLES.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
    });
    let settings = Settings::read(&vars);
    vars.finish(settings).expect("valid settings")
}

/// Whether a method's requests commonly have a body.
#[must_use]
pub fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
