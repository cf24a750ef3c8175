//! Access tokens that were tampered with or made elsewhere: one table, on every kind of host.
//!
//! `tests/tokens` asks more of each, in process; here the signature is checked by each host's own means, natively by
//! aws-lc-rs and on the edge by WebCrypto.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use portico_core::auth::keys::PrivateKey;
use portico_tests::client::{Client, User};
use portico_tests::edge::EdgeHost;
use portico_tests::jwt::{message, part, raw_message, with};
use portico_tests::lab::{Lab, new_key_pem, test_key_pem};
use portico_tests::native::NativeHost;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

/// A route that needs no more than an access token.
const ROUTE: &str = "/v1/devices";

/// What is expected of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// 200.
    Good,
    /// 401 `invalid_token`.
    Invalid,
    /// 401 `session_ended`: well signed, of no live session.
    NoSession,
    /// 401 `unauthenticated`: no token at all.
    None,
}

use Verdict::{Good, Invalid, NoSession};

/// A row of the table.
struct Row {
    name: String,
    token: String,
    verdict: Verdict,
}

/// Makes rows of a user's own token.
struct Forge {
    token: String,
    header: Value,
    claims: Value,
    rows: Vec<Row>,
}

impl Forge {
    fn of(token: &str) -> Self {
        Self { token: token.to_owned(), header: part(token, 0), claims: part(token, 1), rows: Vec::new() }
    }

    fn row(&mut self, name: impl Into<String>, token: impl Into<String>, verdict: Verdict) {
        self.rows.push(Row { name: name.into(), token: token.into(), verdict });
    }

    /// A row of our own signature over a changed header.
    fn header(&mut self, changes: Value, verdict: Verdict) {
        let token = sign(&with(&self.header, &changes), &self.claims);
        self.row(format!("header {changes}"), token, verdict);
    }

    /// A row of our own signature over changed claims.
    fn claims(&mut self, changes: Value, verdict: Verdict) {
        let token = sign(&self.header, &with(&self.claims, &changes));
        self.row(format!("claims {changes}"), token, verdict);
    }

    /// The user's token in its parts.
    fn parts(&self) -> [String; 3] {
        let parts: Vec<String> = self.token.split('.').map(str::to_owned).collect();
        parts.try_into().unwrap()
    }

    fn signature(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.parts()[2]).unwrap()
    }
}

fn sign_message(message: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    format!("{message}.{}", crypto::sign(message.as_bytes(), key, algorithm).unwrap())
}

/// RS256 by the deployment's own key.
fn sign(header: &Value, claims: &Value) -> String {
    sign_message(&message(header, claims), &own_key(), Algorithm::RS256)
}

fn own_key() -> EncodingKey {
    EncodingKey::from_rsa_pem(test_key_pem().as_bytes()).unwrap()
}

fn algorithms(forge: &mut Forge) {
    let [header, payload, signature] = forge.parts();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = message(&with(&forge.header, &json!({ "alg": alg })), &forge.claims);
        forge.row(format!("alg {alg:?}, unsigned"), format!("{unsigned}."), Invalid);
        forge.row(format!("alg {alg:?}, in two parts"), unsigned.clone(), Invalid);
        forge.row(format!("alg {alg:?}, another's signature"), format!("{unsigned}.{signature}"), Invalid);
    }
    forge.row("no signature", format!("{header}.{payload}."), Invalid);
    forge.row("no signature, in two parts", format!("{header}.{payload}"), Invalid);
    for alg in
        [json!("none"), json!("RS512"), json!("PS256"), json!("HS256"), json!("rs256"), json!(["RS256"])]
    {
        forge.header(json!({ "alg": alg }), Invalid);
    }
    forge.header(json!({ "alg": null }), Invalid);
    for (name, algorithm) in [
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS256", Algorithm::PS256),
        ("PS512", Algorithm::PS512),
    ] {
        for alg in [name, "RS256"] {
            let message = message(&with(&forge.header, &json!({ "alg": alg })), &forge.claims);
            let token = sign_message(&message, &own_key(), algorithm);
            forge.row(format!("our key by {name}, called {alg}"), token, Invalid);
        }
    }
}

/// The public key, in every form that somebody might take for a secret.
fn confusion(forge: &mut Forge) {
    let public = rsa::RsaPrivateKey::from_pkcs8_pem(test_key_pem()).unwrap().to_public_key();
    let secrets: [(&str, Vec<u8>); 7] = [
        ("SPKI PEM", public.to_public_key_pem(LineEnding::LF).unwrap().into_bytes()),
        ("PKCS#1 PEM", public.to_pkcs1_pem(LineEnding::LF).unwrap().into_bytes()),
        ("SPKI DER", public.to_public_key_der().unwrap().as_bytes().to_vec()),
        ("PKCS#1 DER", public.to_pkcs1_der().unwrap().as_bytes().to_vec()),
        ("modulus", public.n().to_bytes_be()),
        ("kid", forge.header["kid"].as_str().unwrap().as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, secret) in secrets {
        for (name, algorithm) in [("HS256", Algorithm::HS256), ("HS512", Algorithm::HS512)] {
            for alg in [name, "RS256"] {
                let message = message(&with(&forge.header, &json!({ "alg": alg })), &forge.claims);
                let token = sign_message(&message, &EncodingKey::from_secret(&secret), algorithm);
                forge.row(format!("{name} keyed with {what}, called {alg}"), token, Invalid);
            }
        }
    }
}

/// Keys that a token brings, or names.
fn keys(forge: &mut Forge) {
    let pem = new_key_pem();
    let attacker = PrivateKey::from_pem(&pem).unwrap();
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let jwk = serde_json::to_value(attacker.public().to_jwk()).unwrap();
    let kid = attacker.public().kid.clone();
    for bait in [
        json!({}),
        json!({ "jwk": jwk }),
        json!({ "jku": "https://attacker.example/jwks.json" }),
        json!({ "x5u": "https://attacker.example/chain.pem" }),
        json!({ "x5c": [STANDARD.encode(attacker.public().to_der().unwrap())] }),
    ] {
        for kid in [forge.header["kid"].clone(), json!(kid)] {
            let header = with(&with(&forge.header, &bait), &json!({ "kid": kid }));
            let token = sign_message(&message(&header, &forge.claims), &key, Algorithm::RS256);
            forge.row(format!("an attacker's key, header {header}"), token, Invalid);
        }
        forge.header(bait, Good);
    }
    for kid in
        [json!(null), json!(""), json!(0), json!([]), json!(kid), json!("../../key.pem"), json!("' OR 1=1")]
    {
        forge.header(json!({ "kid": kid }), Invalid);
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!(["unknown"]), json!([]), json!("x"), json!(false)] {
        forge.header(json!({ "crit": crit, "b64": true, "unknown": 1 }), Invalid);
    }
}

fn types(forge: &mut Forge) {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        forge.header(json!({ "typ": typ }), Good);
    }
    for typ in [
        json!(null),
        json!("JWT"),
        json!("id+jwt"),
        json!("logout+jwt"),
        json!(""),
        json!("at+jwt,JWT"),
        json!(1),
    ] {
        forge.header(json!({ "typ": typ }), Invalid);
    }
}

fn claims(forge: &mut Forge, bob: &User) {
    let now = forge.claims["iat"].as_i64().unwrap();
    for name in ["iss", "aud", "exp", "iat", "sub", "jti", "user_id", "session_id", "device_id", "role"] {
        forge.claims(json!({ name: null }), Invalid);
        forge.claims(json!({ name: {} }), Invalid);
    }
    for right in [json!({ "aud": ["others", "portico"] }), json!({ "nbf": now }), json!({ "more": 1 })] {
        forge.claims(right, Good);
    }
    // Two minutes either way: more than the clocks may differ, and than this takes.
    for wrong in [
        json!({ "iss": "Portico" }),
        json!({ "iss": "https://attacker.example" }),
        json!({ "aud": "others" }),
        json!({ "aud": [] }),
        json!({ "aud": "" }),
        json!({ "exp": now - 120 }),
        json!({ "exp": 0 }),
        json!({ "exp": "9999999999" }),
        json!({ "exp": 9e99 }),
        json!({ "nbf": now + 240 }),
        json!({ "iat": now + 240 }),
        json!({ "iat": i64::MAX }),
        json!({ "jti": "" }),
        json!({ "sub": bob.id }),
        json!({ "user_id": bob.id }),
        json!({ "role": "Root" }),
    ] {
        forge.claims(wrong, Invalid);
    }
    for foreign in [
        json!({ "session_id": bob.session_id }),
        json!({ "device_id": bob.device_id }),
        json!({ "sub": bob.id, "user_id": bob.id }),
        json!({ "session_id": "01KHXAZZ7M2V4E6T8R0P1Q3W5Y" }),
    ] {
        forge.claims(foreign, NoSession);
    }
}

fn signatures(forge: &mut Forge, bob: &User) {
    let [header, payload, text] = forge.parts();
    let signature = forge.signature();
    let signed = format!("{header}.{payload}");
    for length in [1, 64, 128, 255] {
        let cut = URL_SAFE_NO_PAD.encode(&signature[..length]);
        forge.row(format!("{length} bytes of signature"), format!("{signed}.{cut}"), Invalid);
    }
    for at in (0..256).step_by(11).chain([255]) {
        let mut flipped = signature.clone();
        flipped[at] ^= 1 << (at % 8);
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped));
        forge.row(format!("bit {} of byte {at} flipped", at % 8), token, Invalid);
    }
    for (name, other) in [
        ("a leading zero", [&[0], &signature[..]].concat()),
        ("a trailing zero", [&signature[..], &[0]].concat()),
        ("nothing but zeros", vec![0; 256]),
        ("nothing but ones", vec![0xff; 256]),
        ("a signature of one", [vec![0; 255], vec![1]].concat()),
    ] {
        forge.row(name, format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other)), Invalid);
    }
    let others = bob.access_token.rsplit('.').next().unwrap();
    forge.row("another token's signature", format!("{signed}.{others}"), Invalid);
    forge.row("the other alphabet", format!("{signed}.{}", STANDARD.encode(&signature)), Invalid);
    forge.row("padding", format!("{signed}.{text}=="), Invalid);
    // 256 bytes leave four bits of the last character unused; they are zeros, or it is another text.
    for unused in ["B", "P", "_"].into_iter().filter(|last| !text.ends_with(last)) {
        let token = format!("{signed}.{}{unused}", &text[..text.len() - 1]);
        forge.row(format!("ends in {unused}"), token, Invalid);
    }
}

fn forms(forge: &mut Forge, user: &User) {
    let [header, payload, signature] = forge.parts();
    for length in [1, header.len(), header.len() + 1, forge.token.len() - 1] {
        let prefix = forge.token[..length].to_owned();
        forge.row(format!("the first {length} characters"), prefix, Invalid);
    }
    let around: Vec<(String, String)> = [".{}", "{}.", "{}.x", "..", "...", "a.b.c", "null", "{}{}", "x{}"]
        .iter()
        .map(|form| ((*form).to_owned(), form.replace("{}", &forge.token)))
        .collect();
    for (form, token) in around {
        forge.row(format!("in the form {form}"), token, Invalid);
    }
    forge.row("swapped", format!("{payload}.{header}.{signature}"), Invalid);
    forge.row("JWE's five parts", format!("{header}.{payload}.{signature}.{payload}.{signature}"), Invalid);
    forge.row("nine kilobytes", "A".repeat(9000), Invalid);
    let json = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
    forge.row("JSON's form", json.clone(), Invalid);
    forge.row("JSON's form, encoded", URL_SAFE_NO_PAD.encode(json), Invalid);
    let (own_header, own_claims) = (forge.header.to_string(), forge.claims.to_string());
    let twice = |json: &str, member: &str| format!("{{{member},{}", &json[1..]);
    let bomb = format!("{{\"x\":{}{}}}", "[".repeat(2500), "]".repeat(2500));
    let raw: Vec<(&str, Vec<u8>, Vec<u8>, Verdict)> = vec![
        (
            "alg twice, none first",
            twice(&own_header, "\"alg\":\"none\"").into(),
            own_claims.clone().into(),
            Invalid,
        ),
        ("sub twice", own_header.clone().into(), twice(&own_claims, "\"sub\":\"01\"").into(), Invalid),
        ("role twice", own_header.clone().into(), twice(&own_claims, "\"role\":\"Admin\"").into(), Invalid),
        ("claims that are a list", own_header.clone().into(), b"[]".to_vec(), Invalid),
        ("claims that are no JSON", own_header.clone().into(), b"{".to_vec(), Invalid),
        ("claims that are no UTF-8", own_header.clone().into(), b"{\"sub\":\"\xff\"}".to_vec(), Invalid),
        ("no claims", own_header.clone().into(), Vec::new(), Invalid),
        ("a deep header", bomb.clone().into(), own_claims.into(), Invalid),
        ("deep claims", own_header.into(), bomb.into(), Invalid),
    ];
    for (name, header, claims, verdict) in raw {
        let token = sign_message(&raw_message(&header, &claims), &own_key(), Algorithm::RS256);
        forge.row(name, token, verdict);
    }
    forge.row("a refresh token", user.refresh_token.clone(), Invalid);
    forge.row("a session's id", user.session_id.clone(), Invalid);
    forge.row("nothing", "", Verdict::None);
    forge.row("a blank", " ", Verdict::None);
}

fn table(user: &User, bob: &User) -> Vec<Row> {
    let mut forge = Forge::of(&user.access_token);
    let token = forge.token.clone();
    forge.row("the user's own", token, Good);
    forge.header(json!({}), Good);
    algorithms(&mut forge);
    confusion(&mut forge);
    keys(&mut forge);
    types(&mut forge);
    claims(&mut forge, bob);
    signatures(&mut forge, bob);
    forms(&mut forge, user);
    forge.rows
}

async fn hold_to_the_table(client: Client) {
    let (ada, bob) = (client.register("ada").await, client.register("bob").await);
    let rows = table(&ada, &bob);
    assert!(rows.len() > 180, "{}", rows.len());
    for Row { name, token, verdict } in rows {
        let answer = client.with_token(Some(&token)).get(ROUTE).await;
        let found = match (answer.status, answer.code().as_str()) {
            (200, _) => Good,
            (401, "invalid_token") => Invalid,
            (401, "session_ended") => NoSession,
            (401, "unauthenticated") => Verdict::None,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, verdict, "{name}: {token}");
    }
}

#[tokio::test]
async fn j1_j2_j3_j4_the_table_of_tokens_holds_in_process() {
    hold_to_the_table(Arc::new(Lab::new()).client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j1_j2_j3_j4_the_table_of_tokens_holds_on_the_native_host() {
    hold_to_the_table(Client::new(Arc::new(NativeHost::start().await))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j1_j2_j3_j4_the_table_of_tokens_holds_on_the_edge() {
    hold_to_the_table(Client::new(Arc::new(EdgeHost::start().await))).await;
}
