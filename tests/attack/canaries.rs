//! Secrets planted wherever one can be, requests right and wrong to every operation, and a search for the secrets in all
//! logs, refusals, metrics and outputs of commands. `tests/exposure` asks the same of the core and of the embedded store.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request};
use portico_bench::ports::free_port;
use portico_core::http::routes::{ROUTES, Route};
use portico_tests::client::{Client, PASSWORD};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::lab::test_key_pem;
use portico_tests::metrics;
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

use crate::world::World;

const AWS_SECRET: &str = "canary0of0amazons0secret0access0key0000";
const TOKEN_SECRET: &str = "canary-token-secret-0123456789abcdef";

/// The word that every planted text holds.
const CANARY: &str = "canary";

/// What nobody may read but where it belongs.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 6, "{name} is too short to be found");
        self.0.push((name.to_owned(), secret.to_owned()));
    }

    fn of(world: &World) -> Self {
        let mut secrets = Self::default();
        secrets.add("a planted text", CANARY);
        secrets.add("the users' password", PASSWORD);
        secrets.add("a password's hash", "$argon2id$");
        for line in test_key_pem().lines().filter(|line| !line.starts_with('-')) {
            secrets.add("a line of the private key", line);
        }
        for user in
            [&world.owner, &world.other, &world.admin, &world.stranger, &world.disabled, &world.deleted]
        {
            secrets.add("an access token", user.access_token.rsplit('.').next().unwrap());
            secrets.add("a refresh token", user.refresh_token.rsplit('.').next().unwrap());
        }
        secrets.add("an e-mail code", &world.email_code);
        secrets.add("an SMS code", &world.phone_code);
        secrets.add("a recovery code", &world.recovery_code);
        for url in [&world.put_url, &world.get_url] {
            let signature = url.rsplit_once("ignature=").map_or(url.as_str(), |(_, signature)| signature);
            secrets.add("a presigned URL's signature", signature.split('&').next().unwrap());
        }
        secrets
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            let Some(at) = text.find(secret.as_str()) else { continue };
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            panic!("{name} is in {place}: {}", &text[line..end]);
        }
    }
}

/// The members that an operation's body has, and some that every body might have.
fn members(body: Option<&Value>) -> Vec<String> {
    let own = body.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    own.chain(["password", "token", "code", "base64"].map(str::to_owned)).collect()
}

/// Requests about a route that are wrong in every way, each with a secret where it does not belong.
fn wrong_requests(world: &World, route: &Route, caller: &Client) -> Vec<Request<Bytes>> {
    let good = || world.request(route, caller);
    let mut requests = Vec::new();
    let body = world.body(route.operation);
    for name in members(body.as_ref()) {
        for wrong in [json!(format!("{CANARY} as a value")), json!([CANARY]), json!({ CANARY: CANARY })] {
            let mut changed = body.clone().unwrap_or_else(|| json!({}));
            changed[&name] = wrong;
            let mut request = good();
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = changed.to_string().into();
            requests.push(request);
        }
    }
    for broken in [r#"{"password":"canary"#, "canary", "{\"canary\":1,\"canary\":2}", "\"canary\""] {
        let mut request = good();
        *request.body_mut() = Bytes::from_static(broken.as_bytes());
        requests.push(request);
    }
    let fields: [(HeaderName, &str); 11] = [
        (header::AUTHORIZATION, "Bearer canary.of.a-token"),
        (header::AUTHORIZATION, "Bearer canary of a token"),
        (header::AUTHORIZATION, "Basic canary"),
        (header::COOKIE, "session=canary"),
        (header::CONTENT_TYPE, "application/canary"),
        (header::CONTENT_TYPE, "multipart/form-data; boundary=canary"),
        (header::CONTENT_ENCODING, "canary"),
        (header::RANGE, "canary=1-2"),
        (header::IF_NONE_MATCH, "\"canary\""),
        (HeaderName::from_static("idempotency-key"), "canary of a key"),
        (HeaderName::from_static("x-forwarded-for"), "canary"),
    ];
    for (name, value) in fields {
        let mut request = good();
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        requests.push(request);
    }
    let mut request = good();
    let path = request.uri().to_string();
    let joint = if path.contains('?') { '&' } else { '?' };
    let query = format!(
        "{path}{joint}access_token=canary&password=canary&cursor=canary&limit=canary&signature=canary"
    );
    *request.uri_mut() = query.parse().unwrap();
    requests.push(request);
    requests
}

/// What must come last, for it ends the sessions of those who ask.
const LAST: [&str; 7] = [
    "change_password",
    "change_password_legacy",
    "complete_password_recovery",
    "revoke_session",
    "log_out",
    "log_out_everywhere",
    "delete_user",
];

/// Asks everything of everybody, wrongly and rightly; gives what the refusals said.
async fn ask_everything(world: &World) -> String {
    let mut refusals = String::new();
    let host = world.client.host();
    let (last, first): (Vec<&Route>, Vec<&Route>) =
        ROUTES.iter().partition(|route| LAST.contains(&route.operation));
    for route in first.iter().chain(&last) {
        // What is wrong with a request may not matter to what it asks for, and that would be gone.
        let spares = LAST.contains(&route.operation) || route.method == Method::DELETE;
        let owner = if spares { &world.stranger.client } else { &world.owner.client };
        for caller in [owner, &world.client] {
            for request in wrong_requests(world, route, caller) {
                let answer = host.send(request).await;
                assert_ne!(answer.status, 500, "{}", route.operation);
                if answer.status >= 400 {
                    writeln!(refusals, "{:?} {}", answer.headers, answer.text()).unwrap();
                }
            }
        }
    }
    for route in first.into_iter().chain(last) {
        for caller in [&world.owner.client, &world.admin.client] {
            let answer = host.send(world.request(route, caller)).await;
            assert_ne!(answer.status, 500, "{}", route.operation);
        }
    }
    refusals
}

/// Asks what needs a service that fails.
async fn ask_in_vain(world: &World, emulators: &Emulators) {
    let rules: Vec<Value> = ["dynamodb", "s3"]
        .map(|service| json!({ "service": service, "action": "html" }))
        .into_iter()
        .collect();
    emulators.misbehave(json!(rules)).await;
    let asked = ["register_user", "sign_in", "refresh_session", "complete_password_recovery", "upload_file"];
    let routes = ROUTES.iter().filter(|route| asked.contains(&route.operation));
    let requests = routes.map(|route| world.client.host().send(world.request(route, &world.admin.client)));
    for answer in futures::future::join_all(requests).await {
        // Where requests are counted in the store, one that cannot be counted is one too many.
        assert!(matches!(answer.status, 401 | 429 | 503), "{}", answer.text());
    }
    emulators.behave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_no_secret_is_logged_shown_or_counted_on_aws() {
    let emulators = Arc::new(Emulators::start_with(&["--secret-key", AWS_SECRET]));
    let metrics = format!("127.0.0.1:{}", free_port());
    let variables = [
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("TOKEN_SECRET", TOKEN_SECRET),
        ("ADMIN_EMAIL", "boss@example.com"),
        ("ADMIN_PASSWORD", "canary of the first admin"),
        ("METRICS_ADDR", &metrics),
        ("LOG_LEVEL", "trace"),
        ("HIBP", "off"),
    ];
    let host = Arc::new(NativeHost::start_on_emulators(&emulators, &variables).await);
    let world = World::on(&Client::new(host.clone())).await;
    let secrets = Secrets::of(&world);
    secrets.assert_absent("a refusal", &ask_everything(&world).await);
    ask_in_vain(&world, &emulators).await;
    let shown = metrics::shown(&metrics).await;
    assert!(shown.contains("portico_http_request_seconds"), "{shown}");
    secrets.assert_absent("the metrics", &shown);
    host.stop().await;
    let log = host.log_text();
    for expected in ["\"registered\"", "\"sign_in\"", "\"answered\"", "\"ERROR\"", world.owner.id.as_str()] {
        assert!(log.contains(expected), "{expected} is not in the log");
    }
    secrets.assert_absent("the log", &log);
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_no_secret_is_logged_or_shown_on_the_edge() {
    let emulators = Arc::new(Emulators::start_with(&["--secret-key", AWS_SECRET]));
    let variables = [
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("TOKEN_SECRET", TOKEN_SECRET),
        ("MAIL_RELAY_TOKEN", "canary-token-of-more-than-thirty-two-characters"),
        ("LOG_LEVEL", "trace"),
    ];
    // The operator makes administrators by a program that has the key too.
    let operator = NativeHost::prepare_on_emulators(&emulators, &variables[..2]);
    let host = Arc::new(EdgeHost::start_on(&emulators, &variables).await);
    let client = Client::new(Arc::new(Operated { edge: host.clone(), operator }));
    let world = World::on(&client).await;
    let secrets = Secrets::of(&world);
    secrets.assert_absent("a refusal", &ask_everything(&world).await);
    ask_in_vain(&world, &emulators).await;
    let log = host.log();
    assert!(log.contains("registered") && log.contains(&world.owner.id), "{log}");
    secrets.assert_absent("the log", &log);
}

/// The Worker, with an operator who has another key than tests have.
#[derive(Debug)]
struct Operated {
    edge: Arc<EdgeHost>,
    operator: NativeHost,
}

#[async_trait::async_trait]
impl portico_tests::hosts::Host for Operated {
    async fn send(&self, request: Request<Bytes>) -> portico_tests::client::Answer {
        self.edge.send(request).await
    }

    async fn messages(&self) -> Vec<portico_tests::messages::Message> {
        self.edge.messages().await
    }

    async fn create_admin(&self, username: &str, email: &str, password: &str) {
        let ready = Request::builder().method(Method::GET).uri("/v1/health-check/ready").body(Bytes::new());
        self.edge.send(ready.unwrap()).await.expect(200);
        self.operator.run(&["admin", "create", "--username", username, "--email", email], password).await;
    }
}

/// Runs a command, whatever comes of it; what it said.
async fn said_by(host: &NativeHost, arguments: &[&str]) -> String {
    let output = host.command(arguments).env("LOG_LEVEL", "trace").output().await.unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_no_command_tells_a_secret() {
    let emulators = Arc::new(Emulators::start_with(&["--secret-key", AWS_SECRET]));
    let secret = [
        ("TOKEN_SECRET", TOKEN_SECRET),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("MAILER", "smtp"),
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", "1"),
        ("SMTP_USERNAME", "mail"),
        ("SMTP_PASSWORD", "canary of the mail server"),
        ("MAIL_RELAY_TOKEN", "canary-token-of-more-than-thirty-two-characters"),
    ];
    let mut secrets = Secrets::default();
    secrets.add("a planted text", CANARY);
    for line in test_key_pem().lines().filter(|line| !line.starts_with('-')) {
        secrets.add("a line of the private key", line);
    }
    for backend in ["aws", "embedded"] {
        let mut variables = secret.to_vec();
        variables.push(("STORAGE_BACKEND", backend));
        let host = NativeHost::prepare_on_emulators(&emulators, &variables);
        let admin = ["admin", "create", "--username", "root", "--email", "root@example.com"];
        host.run(&admin, "canary of the first admin").await;
        let commands: [&[&str]; 9] = [
            &["doctor"],
            &["migrate", "--dry-run"],
            &["migrate"],
            &["backup", "backup"],
            &["backup", "backup"],
            &["restore", "--force", "backup"],
            &["restore", "nothing"],
            &["keys", "generate", "--out", "keys"],
            &["canary"],
        ];
        for arguments in commands {
            let said = said_by(&host, arguments).await;
            assert!(!said.is_empty() || backend == "embedded", "{arguments:?} says nothing");
            if *arguments != ["canary"] {
                secrets.assert_absent(&format!("what {arguments:?} says on {backend}"), &said);
            }
        }
        let again = host.command(&admin).stdin(std::process::Stdio::null()).output().await.unwrap();
        secrets.assert_absent("a refused admin", &String::from_utf8_lossy(&again.stderr));
        // Values that are no good are named by their variable alone.
        for (name, value) in [
            ("TOKEN_SECRET", "canary"),
            ("SMTP_TLS", "none"),
            ("PASSWORD_HASH", "argon2id"),
            ("JWT_PRIVATE_KEY_PATH", "key.pem"),
        ] {
            let output = host.command(&["doctor"]).env(name, value).output().await.unwrap();
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            secrets.assert_absent(&format!("doctor with another {name}"), &said.concat());
        }
    }
}
