//! Signing in with Google: whose account it is, and what Google must have said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use portico_core::App;
use portico_core::auth::keys::PrivateKey;
use portico_core::http::body::Body;
use portico_core::ports::clock::Clock;
use portico_core::ports::http_client::{HttpClient, HttpError};
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::jwt::{self, with};
use portico_tests::lab::{Lab, new_key_pem, settings};
use portico_tests::logs::Logs;
use serde_json::{Value, json};

const CLIENT_ID: &str = "1234.apps.googleusercontent.com";
const CERTS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// A key of Google's, made once for each test program.
fn google_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(new_key_pem)
}

/// A key of somebody else.
fn foreign_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(new_key_pem)
}

/// The page on which Google publishes its keys, as the test wants it.
#[derive(Debug)]
struct Certs {
    fetches: AtomicUsize,
    page: Mutex<Page>,
}

#[derive(Clone, Debug)]
struct Page {
    status: u16,
    kids: Vec<&'static str>,
    cache_control: &'static str,
    body: Option<&'static str>,
    reachable: bool,
}

impl Certs {
    fn new() -> Self {
        let page = Page {
            status: 200,
            kids: vec!["g1"],
            cache_control: "public, max-age=600, must-revalidate",
            body: None,
            reachable: true,
        };
        Self { fetches: AtomicUsize::new(0), page: Mutex::new(page) }
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut Page)) {
        change(&mut self.page.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[async_trait]
impl HttpClient for Certs {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("GET", CERTS));
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let page = self.page.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !page.reachable {
            return Err(HttpError("canary: connection refused to 10.11.12.13".to_owned()));
        }
        let jwk =
            serde_json::to_value(PrivateKey::from_pem(google_pem()).unwrap().public().to_jwk()).unwrap();
        let keys: Vec<Value> = page
            .kids
            .iter()
            .map(|kid| {
                let mut key = jwk.clone();
                key["kid"] = json!(kid);
                key
            })
            .collect();
        let body = page.body.map_or_else(|| json!({ "keys": keys }).to_string(), str::to_owned);
        let builder = Response::builder().status(page.status).header("cache-control", page.cache_control);
        Ok(builder.body(Bytes::from(body)).unwrap())
    }

    async fn stream(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        Ok(self.send(request).await?.map(Body::from))
    }
}

struct World {
    lab: Arc<Lab>,
    client: Client,
    certs: Arc<Certs>,
}

impl World {
    fn new() -> Self {
        let mut lab = Lab::new();
        let certs = Arc::new(Certs::new());
        let mut ports = lab.ports.clone();
        ports.http = certs.clone();
        let settings = settings(&[("GOOGLE_CLIENT_ID", CLIENT_ID.to_owned())]);
        lab.app = App::new(settings, lab.keys.clone(), ports);
        let lab = Arc::new(lab);
        Self { client: lab.client(), lab, certs }
    }

    /// The claims that Google makes of a person.
    fn claims(&self, sub: &str, email: &str) -> Value {
        let now = self.lab.clock.now().as_seconds();
        json!({
            "iss": "https://accounts.google.com", "azp": CLIENT_ID, "aud": CLIENT_ID, "sub": sub,
            "email": email, "email_verified": true, "at_hash": "x", "name": "Ada Lovelace",
            "given_name": "Ada", "family_name": "Lovelace", "iat": now, "exp": now + 3600,
        })
    }

    async fn send(&self, credential: &str) -> Answer {
        self.client.post("/v1/sessions/google", json!({ "credential": credential })).await
    }

    /// Signs a person in.
    async fn sign_in(&self, sub: &str, email: &str) -> Answer {
        self.send(&signed(&self.claims(sub, email))).await
    }

    async fn user(&self, sub: &str, email: &str) -> (User, Value) {
        let answer = self.sign_in(sub, email).await.expect(200);
        let body = answer.json();
        (User::of(&self.client, body["user"]["username"].as_str().unwrap(), &answer), body["user"].clone())
    }

    async fn signs_in_by_password(&self, login: &str) -> bool {
        let body = json!({ "username": login, "password": PASSWORD });
        let answer = self.client.post("/v1/sessions/login", body).await;
        if answer.status != 200 {
            answer.clone().expect_problem(401, "invalid_credentials");
        }
        answer.status == 200
    }

    async fn confirm(&self, user: &User) {
        let code = self.client.newest_message_to(&user.email()).await.code();
        user.client.post("/v1/confirm-email/validate-code", json!({ "token": code })).await.expect(200);
    }
}

fn signed(claims: &Value) -> String {
    signed_by(google_pem(), &json!({ "alg": "RS256", "kid": "g1", "typ": "JWT" }), claims, Algorithm::RS256)
}

fn signed_by(pem: &str, header: &Value, claims: &Value, algorithm: Algorithm) -> String {
    let message = jwt::message(header, claims);
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
}

#[tokio::test]
async fn f1_a_confirmed_address_links_and_keeps_everything() {
    let world = World::new();
    let ada = world.client.register("ada").await;
    world.confirm(&ada).await;
    let (linked, user) = world.user("sub-1", "ada@example.com").await;
    assert_eq!(linked.id, ada.id);
    assert_ne!(linked.session_id, ada.session_id);
    assert_eq!((&user["email_confirmed"], &user["username"]), (&json!(true), &json!("ada")));
    assert!(world.signs_in_by_password("ada").await);
    ada.client.get("/v1/sessions").await.expect(200);
    ada.refresh_with(&ada.refresh_token).await.expect(200);
}

/// Somebody registers a stranger's address and waits for the stranger to come.
#[tokio::test]
async fn f1_an_unconfirmed_address_gives_no_hold_on_the_account() {
    let world = World::new();
    let mut body = registration("mallory");
    body["email"] = json!("victim@example.com");
    body["phone"] = json!("+4915112345678");
    let answer = world.client.post("/v1/users", body).await.expect(201);
    let lurker = User::of(&world.client, "mallory", &answer);
    let second = world.client.sign_in("mallory").await;

    let (victim, user) = world.user("sub-victim", "Victim@Example.com").await;
    assert_eq!(victim.id, lurker.id);
    assert_eq!((&user["email_confirmed"], &user["auth_provider"]), (&json!(true), &json!("google")));
    for held in [&lurker, &second] {
        held.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
        held.client.get("/v1/devices").await.expect_problem(401, "session_ended");
        held.refresh_with(&held.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    }
    for login in ["mallory", "victim@example.com"] {
        assert!(!world.signs_in_by_password(login).await);
    }
    victim.client.get("/v1/sessions").await.expect(200);
    // The next time nothing needs to be taken away.
    let (again, _) = world.user("sub-victim", "victim@example.com").await;
    assert_eq!(again.id, victim.id);
    victim.client.get("/v1/sessions").await.expect(200);
}

#[tokio::test]
async fn f1_an_address_changed_after_confirmation_is_unconfirmed() {
    let world = World::new();
    let mallory = world.client.register("mallory").await;
    world.confirm(&mallory).await;
    mallory.client.put(&mallory.path(), json!({ "email": "victim@example.com" })).await.expect(200);
    let (victim, _) = world.user("sub-victim", "victim@example.com").await;
    assert_eq!(victim.id, mallory.id);
    mallory.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    assert!(!world.signs_in_by_password("mallory").await);
}

#[tokio::test]
async fn f2_a_token_must_be_googles_for_us_and_now() {
    let world = World::new();
    let claims = world.claims("sub-1", "ada@example.com");
    let now = world.lab.clock.now().as_seconds();
    for wrong in [
        json!({ "iss": "https://accounts.google.com.evil.example" }),
        json!({ "iss": "http://accounts.google.com" }),
        json!({ "iss": null }),
        json!({ "aud": "another.apps.googleusercontent.com" }),
        json!({ "aud": [CLIENT_ID, "another"] }),
        json!({ "aud": null }),
        json!({ "aud": "" }),
        json!({ "exp": now - 61 }),
        json!({ "exp": null }),
        json!({ "exp": "9999999999" }),
        json!({ "iat": now + 120 }),
        json!({ "nbf": now + 120 }),
        json!({ "email_verified": false }),
        json!({ "email_verified": "false" }),
        json!({ "email_verified": 1 }),
        json!({ "email_verified": null }),
        json!({ "email": null }),
        json!({ "email": "no address" }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 1 }),
        json!({ "sub": "a b" }),
        json!({ "sub": "x".repeat(256) }),
    ] {
        let answer = world.send(&signed(&with(&claims, &wrong))).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "google_token_invalid"), "{wrong}");
    }
    for right in [json!({ "iss": "accounts.google.com" }), json!({ "email_verified": "true" })] {
        world.send(&signed(&with(&claims, &right))).await.expect(200);
    }
    let admin = world.client.admin("root").await;
    let users = admin.client.get("/v1/users").await.expect(200).json();
    assert_eq!(users["returned"], 2, "nothing refused left an account");
}

#[tokio::test]
async fn f2_a_token_must_be_signed_by_a_published_key_with_its_algorithm() {
    let world = World::new();
    let claims = world.claims("sub-1", "ada@example.com");
    let header = json!({ "alg": "RS256", "kid": "g1", "typ": "JWT" });
    let good = signed(&claims);
    let message = good.rsplit_once('.').unwrap().0;
    let jwk = serde_json::to_value(PrivateKey::from_pem(foreign_pem()).unwrap().public().to_jwk()).unwrap();
    let by =
        |pem: &str, changes: Value, algorithm| signed_by(pem, &with(&header, &changes), &claims, algorithm);
    let hmac = {
        let header = with(&header, &json!({ "alg": "HS256" }));
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let key = EncodingKey::from_secret(jwk.to_string().as_bytes());
        format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap())
    };
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"g1"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tampered = {
        let richer = with(&claims, &json!({ "email": "victim@example.com" }));
        let signature = good.rsplit('.').next().unwrap();
        let head = good.split('.').next().unwrap();
        format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(richer.to_string()))
    };
    for (what, token) in [
        ("another's key", by(foreign_pem(), json!({}), Algorithm::RS256)),
        (
            "a key that it brings",
            by(foreign_pem(), json!({ "jwk": jwk, "jku": "https://x.example" }), Algorithm::RS256),
        ),
        ("an unknown key id", by(google_pem(), json!({ "kid": "g9" }), Algorithm::RS256)),
        ("no key id", by(google_pem(), json!({ "kid": null }), Algorithm::RS256)),
        ("RS512", by(google_pem(), json!({ "alg": "RS512" }), Algorithm::RS512)),
        ("RS512 called RS256", by(google_pem(), json!({}), Algorithm::RS512)),
        ("PS256", by(google_pem(), json!({ "alg": "PS256" }), Algorithm::PS256)),
        ("HS256", hmac),
        ("none", unsigned),
        ("a critical extension", by(google_pem(), json!({ "crit": ["x"] }), Algorithm::RS256)),
        ("other claims", tampered),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("half a signature", good[..good.len() - 100].to_owned()),
        ("nothing", String::new()),
        ("garbage", "a.b.c".to_owned()),
        ("much garbage", "a".repeat(20_000)),
    ] {
        let answer = world.send(&token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "google_token_invalid"), "{what}");
    }
    // Nor is an access token of ours one of Google's.
    let bob = world.client.register("bob").await;
    world.send(&bob.access_token).await.expect_problem(401, "google_token_invalid");
    world.send(&good).await.expect(200);
}

#[tokio::test]
async fn f2_keys_are_fetched_as_often_as_their_cache_control_asks() {
    let world = World::new();
    // What is not meant for us is refused without asking Google.
    let foreign = with(&world.claims("s", "ada@example.com"), &json!({ "aud": "another" }));
    world.send(&signed(&foreign)).await.expect_problem(401, "google_token_invalid");
    assert_eq!(world.certs.fetches(), 0);
    for _ in 0..5 {
        world.sign_in("s", "ada@example.com").await.expect(200);
    }
    assert_eq!(world.certs.fetches(), 1);
    world.lab.clock.advance(590);
    world.sign_in("s", "ada@example.com").await.expect(200);
    assert_eq!(world.certs.fetches(), 1);
    world.lab.clock.advance(10);
    world.certs.change(|page| page.cache_control = "max-age=60, no-store");
    world.sign_in("s", "ada@example.com").await.expect(200);
    assert_eq!(world.certs.fetches(), 2);
    world.sign_in("s", "ada@example.com").await.expect(200);
    assert_eq!(world.certs.fetches(), 3, "what may not be kept is not");
}

#[tokio::test]
async fn f2_a_new_key_is_found_and_an_unknown_one_is_not_asked_for_all_the_time() {
    let world = World::new();
    world.sign_in("s", "ada@example.com").await.expect(200);
    let claims = world.claims("s", "ada@example.com");
    let header = json!({ "alg": "RS256", "kid": "g2" });
    let unknown = signed_by(google_pem(), &header, &claims, Algorithm::RS256);
    for _ in 0..20 {
        world.send(&unknown).await.expect_problem(401, "google_token_invalid");
    }
    assert_eq!(world.certs.fetches(), 1);
    world.certs.change(|page| page.kids = vec!["g2"]);
    world.lab.clock.advance(61);
    world.send(&unknown).await.expect(200);
    assert_eq!(world.certs.fetches(), 2);
    // The key that Google withdrew is no longer one.
    world.sign_in("s", "ada@example.com").await.expect_problem(401, "google_token_invalid");
}

#[tokio::test]
async fn f2_an_outage_of_google_is_said_to_be_one() {
    let outages: [fn(&mut Page); 5] = [
        |page| page.reachable = false,
        |page| page.status = 500,
        |page| page.status = 302,
        |page| page.body = Some("<html>canary</html>"),
        |page| page.body = Some(r#"{"keys":[]}"#),
    ];
    for outage in outages {
        let world = World::new();
        world.certs.change(outage);
        let answer = world.sign_in("s", "ada@example.com").await.expect_problem(503, "google_unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.text().contains("canary") && !answer.text().contains("10.11.12.13"));
        world.certs.change(|page| *page = Certs::new().page.into_inner().unwrap());
        world.sign_in("s", "ada@example.com").await.expect(200);
        // With keys at hand an outage goes unnoticed until they expire.
        world.certs.change(outage);
        world.sign_in("s", "ada@example.com").await.expect(200);
        world.lab.clock.advance(600);
        world.sign_in("s", "ada@example.com").await.expect_problem(503, "google_unavailable");
    }
}

#[tokio::test]
async fn f3_a_person_is_known_by_sub_under_any_address() {
    let world = World::new();
    let (ada, _) = world.user("sub-1", "ada@example.com").await;
    let (moved, user) = world.user("sub-1", "ada@elsewhere.example").await;
    assert_eq!(moved.id, ada.id);
    assert_eq!(user["email"], "ada@example.com", "the account's own address is the account's own matter");
    // Not even to the account of somebody who has the new address.
    let bob = world.client.register("bob").await;
    world.confirm(&bob).await;
    let (still_ada, _) = world.user("sub-1", "bob@example.com").await;
    assert_eq!(still_ada.id, ada.id);
    assert!(world.signs_in_by_password("bob").await);
    bob.client.get("/v1/sessions").await.expect(200);
}

/// An address that Google gave to somebody else: they get what the address owns, but share nothing with whoever had it.
#[tokio::test]
async fn f3_a_recycled_address_brings_nobody_in_who_was_there_before() {
    let world = World::new();
    let (first, _) = world.user("sub-1", "ada@example.com").await;
    let (second, _) = world.user("sub-2", "ada@example.com").await;
    first.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    first.refresh_with(&first.refresh_token).await.expect_problem(401, "invalid_refresh_token");
    let (elsewhere, _) = world.user("sub-1", "ada@elsewhere.example").await;
    assert_ne!(elsewhere.id, second.id);
    second.client.get("/v1/sessions").await.expect(200);
    elsewhere.client.get("/v1/sessions").await.expect(200);
    assert_eq!(world.user("sub-2", "ada@example.com").await.0.id, second.id);
    assert_eq!(world.user("sub-1", "ada@example.com").await.0.id, elsewhere.id);
}

#[tokio::test]
async fn f3_a_sub_is_not_read_as_another_kind_of_key() {
    let world = World::new();
    let bob = world.client.register("bob").await;
    for sub in [bob.id.as_str(), "username#bob", "bob", "email#bob@example.com"] {
        let (user, _) = world.user(sub, &format!("x{}@example.com", sub.len())).await;
        assert_ne!(user.id, bob.id, "{sub}");
    }
}

#[tokio::test]
async fn f1_a_disabled_account_stays_closed() {
    let world = World::new();
    let admin = world.client.admin("root").await;
    let (ada, _) = world.user("sub-1", "ada@example.com").await;
    admin.client.put(&ada.path(), json!({ "enable": 0 })).await.expect(200);
    ada.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    world.sign_in("sub-1", "ada@example.com").await.expect_problem(401, "invalid_credentials");
    // Nor does a first link open one.
    let bob = world.client.register("bob").await;
    world.confirm(&bob).await;
    admin.client.put(&bob.path(), json!({ "enable": false })).await.expect(200);
    world.sign_in("sub-2", "bob@example.com").await.expect_problem(401, "invalid_credentials");
    admin.client.put(&ada.path(), json!({ "enable": 1 })).await.expect(200);
    assert_eq!(world.user("sub-1", "ada@example.com").await.0.id, ada.id);
}

#[tokio::test]
async fn f3_a_deleted_account_frees_its_google_user() {
    let world = World::new();
    let admin = world.client.admin("root").await;
    let (ada, _) = world.user("sub-1", "ada@example.com").await;
    ada.client.delete(&ada.path()).await.expect(200);
    let (again, user) = world.user("sub-1", "ada@example.com").await;
    assert_ne!(again.id, ada.id);
    assert_eq!(user["email"], "ada@example.com");
    // What is taken by now cannot be brought back; once it is free again it can.
    let restore = format!("{}/restore", ada.path());
    assert_eq!(admin.client.post_empty(&restore).await.status, 409);
    again.client.delete(&again.path()).await.expect(200);
    admin.client.post_empty(&restore).await.expect(200);
    assert_eq!(world.user("sub-1", "ada@example.com").await.0.id, ada.id);
}

#[tokio::test]
async fn f1_a_new_account_gets_a_free_name_and_no_password() {
    let world = World::new();
    world.client.register("ada").await;
    let (other, user) = world.user("sub-1", "ada@elsewhere.example").await;
    let name = user["username"].as_str().unwrap();
    assert!(name.starts_with("ada-") && name.len() > 8, "{name}");
    assert_eq!(
        ["role", "auth_provider", "first_name", "last_name"].map(|name| user[name].as_str().unwrap()),
        ["User", "google", "Ada", "Lovelace"]
    );
    assert_eq!((&user["email_confirmed"], &user["enable"]), (&json!(true), &json!(1)));
    assert!(!world.signs_in_by_password(name).await);
    let body = json!({ "current_password": "", "new_password": "another good one" });
    let answer = other.client.post("/v1/users/me/password", body).await;
    assert_eq!(answer.status, 422, "{}", answer.text());

    for (n, local) in ["a", "o'brien+news", "ÄÖ", "..", "x".repeat(64).as_str()].iter().enumerate() {
        let answer = world.sign_in(&format!("local-{n}"), &format!("{local}@elsewhere.example")).await;
        // Addresses that are none for us are refused; those that are make a name.
        if answer.status == 200 {
            let name = answer.json()["user"]["username"].as_str().unwrap().to_owned();
            assert!((3..=64).contains(&name.chars().count()), "{local}: {name}");
        } else {
            answer.expect_problem(401, "google_token_invalid");
        }
    }
    let nameless = with(
        &world.claims("sub-9", "nameless@example.com"),
        &json!({ "given_name": null, "family_name": "\u{0}" }),
    );
    let user = world.send(&signed(&nameless)).await.expect(200).json()["user"].clone();
    assert_eq!((&user["first_name"], &user["last_name"]), (&json!("-"), &json!("-")));
}

#[tokio::test]
async fn f1_two_first_sign_ins_at_once_make_one_account() {
    let world = World::new();
    let credential = signed(&world.claims("sub-1", "ada@example.com"));
    let answers = futures::future::join_all((0..10).map(|_| world.send(&credential))).await;
    let mut ids: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.expect(200).json()["user"]["id"].as_str().unwrap().to_owned())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn f2_without_a_client_id_there_is_no_google() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let body = json!({ "credential": "a.b.c" });
    let answer = client.post("/v1/sessions/google", body).await.expect_problem(503, "google_not_configured");
    assert!(answer.header("retry-after").is_some());
    client.post("/v1/sessions/google", json!({})).await.expect_invalid(&[("/credential", "required")]);
}

#[tokio::test]
async fn l1_google_sign_ins_are_on_record_and_their_tokens_are_not() {
    let logs = Logs::capture();
    let world = World::new();
    let credential = signed(&world.claims("sub-1", "ada@example.com"));
    let (ada, _) = world.user("sub-1", "ada@example.com").await;
    let granted = logs.audit("sign_in_with_google");
    assert_eq!(granted.len(), 1);
    assert_eq!((granted[0].field("user_id"), granted[0].field("outcome")), (ada.id.as_str(), "success"));
    world.send(&credential[..credential.len() - 8]).await.expect_problem(401, "google_token_invalid");
    let events = logs.audit("sign_in_with_google");
    assert_eq!((events.len(), events.last().unwrap().field("outcome")), (2, "failure"));
    assert_eq!(events[1].field("addr"), "127.0.0.1");
    for part in credential.split('.') {
        assert!(!logs.text().contains(part));
    }
}
