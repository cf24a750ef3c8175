//! JSON Web Tokens whose signature is good, whatever they say: access tokens, and Google's with Google's keys. What is
//! believed must be ours, in force and of somebody who is signed in.
//!
//! The lines are: `access` or `google`, the token's header, its claims, and Google's answer with its keys.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_fuzz::world::{GOOGLE_CLIENT_ID, Options, World};
use serde_json::{Value, json};

/// What the clock of a new world shows, and a minute of grace.
const NOW: i64 = 1_771_581_600;
const GRACE: i64 = 60;

thread_local! {
    static WORLD: World = World::new(Options { believes: true, http: None });
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(4, '\n');
    let (kind, header) = (lines.next(), lines.next().unwrap_or_default());
    let (claims, keys) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    match kind {
        Some("access") => access(header, claims),
        Some("google") => google(header, claims, keys),
        _ => {}
    }
});

fn token(world: &World, header: &str, claims: &str) -> (String, Value) {
    let (mut header, mut claims) = (header.replace("{kid}", &world.kid), claims.to_owned());
    for (name, value) in &world.names {
        claims = claims.replace(name, value);
        header = header.replace(name, value);
    }
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let read = serde_json::from_str(&claims).unwrap_or(Value::Null);
    (format!("{}.{}.{}", encode(&header), encode(&claims), encode("signature")), read)
}

fn access(header: &str, claims: &str) {
    WORLD.with(|world| {
        let (token, claims) = token(world, header, claims);
        let answer = world.send("GET", "/v1/sessions", Some(&token), &Value::Null);
        assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
        if answer.status == 200 {
            let known = ["{ada}", "{root}"].map(|name| json!(world.named(name)));
            assert!(known.contains(&claims["sub"]) && claims["sub"] == claims["user_id"], "{claims}");
            assert!(claims["exp"].as_i64().is_some_and(|exp| exp.saturating_add(GRACE) > NOW), "{claims}");
            assert!(claims["iat"].is_i64() || claims["iat"].is_u64(), "{claims}");
        }
    });
}

fn google(header: &str, claims: &str, keys: &str) {
    let answer = Bytes::copy_from_slice(keys.as_bytes());
    let http = MemoryHttpClient::new(move |_| {
        let (age, keys) = (answer.len() % 7, answer.clone());
        let made = Response::builder().header("cache-control", format!("public, max-age={age}")).body(keys);
        Ok(made.expect("an answer"))
    });
    let world = World::empty(Options { believes: true, http: Some(http) });
    let (token, claims) = token(&world, header, claims);
    let answer = world.send("POST", "/v1/sessions/google", None, &json!({ "credential": token }));
    if answer.status < 300 {
        assert_eq!(claims["aud"], GOOGLE_CLIENT_ID, "{claims}");
        let issuer = claims["iss"].as_str().unwrap_or_default();
        assert!(matches!(issuer, "accounts.google.com" | "https://accounts.google.com"), "{claims}");
        assert!(claims["email_verified"] == true || claims["email_verified"] == "true", "{claims}");
        assert!(claims["exp"].as_i64().is_some_and(|exp| exp.saturating_add(GRACE) > NOW), "{claims}");
    }
}
