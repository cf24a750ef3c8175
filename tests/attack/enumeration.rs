//! Nobody learns who has an account: neither from what is answered nor from the work that it takes.
//!
//! Work is counted, not timed: reads, queries and writes of the store, passwords hashed, bytes answered. For hundreds of
//! attempts at accounts of each kind, drawn by a seed that is printed, a permutation test asks whether any of these counts
//! differs between two kinds more than chance would have it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use portico_core::auth::keys::PrivateKey;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::ports::clock::Clock;
use portico_tests::chance::Chance;
use portico_tests::client::{Answer, Client, PASSWORD, registration};
use portico_tests::counting::CountedLab;
use portico_tests::lab::{Lab, LabOptions, new_key_pem};
use serde_json::{Value, json};

const SEED: u64 = 0x5eed_2026;

/// Attempts at accounts of each kind.
const TRIALS: usize = 200;

/// Accounts of each kind: few enough attempts at each that none is locked.
const ACCOUNTS: usize = 40;

/// How unlikely a difference must be to count as one.
const SIGNIFICANCE: f64 = 0.001;

/// What attackers have to do with.
const KINDS: [&str; 5] = ["unknown", "unconfirmed", "confirmed", "disabled", "deleted"];

/// What one attempt took, measure by measure.
type Work = [f64; MEASURES.len()];

const MEASURES: [&str; 6] = ["gets", "queries", "transactions", "writes", "hashes", "bytes answered"];

/// The likelihood that two samples of the same kind differ in their mean by as much as these do.
fn permutation_test(one: &[f64], other: &[f64], random: &mut Chance) -> f64 {
    const ROUNDS: usize = 1000;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let observed = (mean(one) - mean(other)).abs();
    let mut pool = [one, other].concat();
    let mut as_far = 1;
    for _ in 0..ROUNDS {
        for at in (1..pool.len()).rev() {
            pool.swap(at, random.below(at + 1));
        }
        let (left, right) = pool.split_at(one.len());
        as_far += usize::from((mean(left) - mean(right)).abs() + 1e-9 >= observed);
    }
    as_far as f64 / (ROUNDS + 1) as f64
}

/// Asserts that no measure tells two kinds apart.
fn assert_alike(samples: &[(&str, Vec<Work>)], random: &mut Chance) {
    let column = |works: &[Work], measure: usize| works.iter().map(|work| work[measure]).collect::<Vec<_>>();
    for (measure, name) in MEASURES.iter().enumerate() {
        for (at, (kind, works)) in samples.iter().enumerate() {
            for (other, others) in &samples[..at] {
                let p = permutation_test(&column(works, measure), &column(others, measure), random);
                assert!(
                    p > SIGNIFICANCE,
                    "{name} tell {kind} from {other} accounts (p = {p:.4}, seed {SEED:#x})"
                );
            }
        }
    }
}

#[test]
fn the_test_sees_a_difference_in_one_attempt_of_ten() {
    let mut random = Chance::of(SEED);
    let mut draw = |leak: bool| -> Vec<f64> {
        let noisy = |random: &mut Chance| random.below(3) as f64;
        let leaks = |random: &mut Chance| f64::from(u8::from(leak && random.below(10) == 0)) * 5.0;
        (0..TRIALS).map(|_| noisy(&mut random) + leaks(&mut random)).collect()
    };
    let (plain, same, leaky) = (draw(false), draw(false), draw(true));
    assert!(permutation_test(&plain, &same, &mut random) > SIGNIFICANCE);
    assert!(permutation_test(&plain, &leaky, &mut random) <= SIGNIFICANCE);
    assert!((permutation_test(&[1.0; 9], &[1.0; 9], &mut random) - 1.0).abs() < 1e-9);
}

/// A deployment with accounts of every kind.
struct Town {
    counted: CountedLab,
    client: Client,
}

impl Town {
    async fn new() -> Self {
        let counted = CountedLab::new();
        let client = counted.lab.client();
        let admin = client.admin("root").await;
        for kind in &KINDS[1..] {
            for n in 0..ACCOUNTS {
                let user = client.register(&name(kind, n)).await;
                match *kind {
                    "confirmed" => {
                        let code = client.newest_message_to(&user.email()).await.code();
                        let path = "/v1/confirm-email/validate-code";
                        user.client.post(path, json!({ "token": code })).await.expect(200);
                    }
                    "disabled" => {
                        admin.client.put(&user.path(), json!({ "enable": 0 })).await.expect(200);
                    }
                    "deleted" => {
                        user.client.delete(&user.path()).await.expect(200);
                    }
                    _ => {}
                }
            }
        }
        counted.lab.clock.advance(3600);
        Self { counted, client }
    }

    /// Attempts of a sort at every kind of account, in turn; what each of them took.
    async fn attempts(
        &self,
        attempt: impl AsyncFn(&Client, &str, &mut Chance) -> Answer,
    ) -> Vec<(&'static str, Vec<Work>)> {
        let CountedLab { lab, store, hasher } = &self.counted;
        lab.settle(false);
        let mut samples: Vec<(&str, Vec<Work>)> = KINDS.iter().map(|kind| (*kind, Vec::new())).collect();
        let mut answers: Vec<Value> = Vec::new();
        for (kind_at, (kind, works)) in samples.iter_mut().enumerate() {
            // The same for each kind but for what is drawn.
            let mut random = Chance::of(SEED + kind_at as u64);
            for trial in 0..TRIALS {
                lab.background.run().await;
                lab.move_to(std::net::Ipv4Addr::new(203, 0, 113, u8::try_from(trial % 200).unwrap()).into());
                // At times long after the attempt before, and at times at once.
                lab.clock.advance([0, 61, 901][random.below(3)]);
                let _before = (store.take(), hasher.take());
                let answer = attempt(&self.client, &name(kind, trial % ACCOUNTS), &mut random).await;
                let (calls, hashes) = (store.take(), hasher.take());
                let count = |word: &str| calls.iter().filter(|call| call.starts_with(word)).count() as f64;
                let writes: usize = calls
                    .iter()
                    .filter(|call| call.starts_with("transact"))
                    .map(|call| call.matches(", ").count() + 1)
                    .sum();
                works.push([
                    count("get"),
                    count("query"),
                    count("transact"),
                    writes as f64,
                    hashes.len() as f64,
                    answer.bytes.len() as f64,
                ]);
                answers.push(told(&answer));
            }
            lab.clock.advance(2 * 24 * 60 * 60);
        }
        answers.sort_by_key(Value::to_string);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:#?}");
        samples
    }
}

fn name(kind: &str, n: usize) -> String {
    // As long as each other: what is answered must not differ by the name's length either.
    format!("{kind:x<11}{n:02}")
}

/// All that an answer tells, but for its id.
fn told(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().map(|body| body.remove("request_id"));
    let headers =
        answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "ratelimit"));
    let mut headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    json!([answer.status, headers, body])
}

#[tokio::test]
async fn p7_no_work_tells_whose_password_is_guessed() {
    let town = Town::new().await;
    let sign_in = async |client: &Client, name: &str, random: &mut Chance| {
        let login = if random.below(2) == 0 { name.to_owned() } else { format!("{name}@example.com") };
        let mut body = json!({ "username": login, "password": "x".repeat(8 + random.below(100)) });
        if random.below(2) == 0 {
            body["device_uuid"] = json!(format!("device {}", random.below(3)));
        }
        client.post("/v1/sessions/login", body).await
    };
    let samples = town.attempts(sign_in).await;
    assert_alike(&samples, &mut Chance::of(SEED));
    assert!(
        samples.iter().flat_map(|(_, works)| works).all(|work| work[4] > 0.0),
        "each attempt costs a hash"
    );
}

#[tokio::test]
async fn c7_no_work_tells_whose_recovery_is_asked_for() {
    let town = Town::new().await;
    let request = async |client: &Client, name: &str, _: &mut Chance| {
        let body = json!({ "email": format!("{name}@example.com") });
        client.post("/v1/password-recovery/request", body).await
    };
    assert_alike(&town.attempts(request).await, &mut Chance::of(SEED));
}

#[tokio::test]
async fn c7_no_work_tells_whose_recovery_code_is_guessed() {
    let town = Town::new().await;
    let guess = async |client: &Client, name: &str, random: &mut Chance| {
        let email = format!("{name}@example.com");
        if random.below(3) == 0 {
            let body = json!({ "email": email });
            client.post("/v1/password-recovery/request", body).await.expect(200);
        }
        let body = json!({ "email": email, "otp": "AAAAAA", "new_password": "another good one" });
        client.post("/v1/password-recovery/validate-code", body).await
    };
    assert_alike(&town.attempts(guess).await, &mut Chance::of(SEED));
}

/// That a name or an address is taken is part of the contract; in what state its account is, is not.
#[tokio::test]
async fn p7_registration_tells_that_a_name_is_taken_and_no_more() {
    let town = Town::new().await;
    for (member, code) in [("username", "username_taken"), ("email", "email_taken")] {
        let mut seen = Vec::new();
        for kind in ["unconfirmed", "confirmed", "disabled"] {
            let taken = name(kind, 0);
            let mut body = registration("somebody-new");
            body[member] =
                if member == "email" { json!(format!("{taken}@example.com")) } else { json!(taken) };
            let _before = (town.counted.store.take(), town.counted.hasher.take());
            let answer = town.client.post("/v1/users", body).await.expect_problem(409, code);
            seen.push((told(&answer), town.counted.store.take(), town.counted.hasher.take()));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
    }
}

/// A lab that knows a key of Google's.
fn with_google(pem: &str) -> Arc<Lab> {
    let keys = json!({ "keys": [PrivateKey::from_pem(pem).unwrap().public().to_jwk()] }).to_string();
    Arc::new(Lab::with(LabOptions {
        variables: vec![("GOOGLE_CLIENT_ID", "ours".to_owned())],
        ports: Some(Box::new(move |ports| {
            ports.http =
                Arc::new(MemoryHttpClient::new(move |_| Ok(Response::new(Bytes::from(keys.clone())))));
        })),
        keys: None,
    }))
}

/// An ID token for an address, signed by `signer` and said to be of `named`'s key.
fn id_token(lab: &Lab, signer: &str, named: &str, email: &str, verified: bool) -> String {
    let now = lab.clock.now().as_seconds();
    let header = json!({ "alg": "RS256", "kid": PrivateKey::from_pem(named).unwrap().public().kid });
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": "ours", "sub": "1234567890", "iat": now, "exp": now + 600,
        "email": email, "email_verified": verified, "given_name": "Ada", "family_name": "Lovelace",
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let key = EncodingKey::from_rsa_pem(signer.as_bytes()).unwrap();
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap())
}

#[tokio::test]
async fn f2_a_forged_google_token_tells_nothing_of_the_address_in_it() {
    let (google, attacker) = (new_key_pem(), new_key_pem());
    let lab = with_google(&google);
    let client = lab.client();
    client.register("known").await;
    let ask = async |token: String| client.post("/v1/sessions/google", json!({ "credential": token })).await;
    let mut seen = Vec::new();
    for email in ["known@example.com", "nobody@example.com"] {
        // Signed by somebody else, and of an address that Google did not verify.
        seen.push(told(&ask(id_token(&lab, &attacker, &google, email, true)).await.expect(401)));
        seen.push(told(&ask(id_token(&lab, &google, &google, email, false)).await.expect(401)));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:#?}");
    // The same token well made is good: it is the forgery that was refused.
    ask(id_token(&lab, &google, &google, "nobody@example.com", true)).await.expect(200);
    client.post("/v1/sessions/login", json!({ "username": "known", "password": PASSWORD })).await.expect(200);
}
