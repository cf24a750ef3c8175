//! One-time codes: how they are kept, guessed at, bound and used up, and what their use has for consequences.

use std::sync::Arc;

use http::Method;
use portico_core::ports::store::Key;
use portico_core::schema::{USER_VERIFICATIONS, USERS};
use portico_tests::client::{Answer, PASSWORD, User, registration};
use portico_tests::counting::CountedLab;
use portico_tests::lab::Lab;
use serde_json::{Value, json};

use crate::support::*;

const NEW_PASSWORD: &str = "another good one";
const PHONE: &str = "+4915112345678";
/// Neither 0 nor 1 is in any code.
const WRONG: &str = "000111";

async fn confirm_email(user: &User, token: &str) -> Answer {
    user.client.post("/v1/confirm-email/validate-code", json!({"token": token})).await
}

async fn confirm_phone(user: &User, otp: &str) -> Answer {
    user.client.post("/v1/confirm-phone/validate-code", json!({"otp": otp})).await
}

async fn verification(lab: &Lab, user_id: &str, purpose: &str) -> Value {
    row(lab, Key::with_range(&USER_VERIFICATIONS, user_id, purpose)).await
}

/// A user with a phone number to which a code was sent.
async fn user_with_sms_code(lab: &Arc<Lab>, username: &str) -> (User, String) {
    let user = lab.client().register(username).await;
    update(&user, json!({"phone": PHONE})).await.expect(200);
    user.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    (user, newest(lab, PHONE).code())
}

#[tokio::test]
async fn c1_a_code_works_once() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    confirm_phone(&ada, &sms).await.expect(200);
    confirm_phone(&ada, &sms).await.expect_problem(422, "invalid_code");
    confirm_email(&ada, &token).await.expect(200);
    confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
    let code = recovery_code(&lab, &ada.email()).await;
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect(200);
    recover(&client, &ada.email(), &code, "yet another one").await.expect_problem(401, "invalid_code");
    login(&client, "ada", NEW_PASSWORD).await.expect(200);
}

fn newest_code_of_length(lab: &Lab, to: &str, length: usize) -> String {
    let codes = sent_to(lab, to).into_iter().filter(|message| message.subject.starts_with("Confirm"));
    codes.map(|message| message.code()).rfind(|code| code.len() == length).expect("a code")
}

#[tokio::test]
async fn c1_of_parallel_uses_one_succeeds() {
    let lab = overlapping();
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let passwords: Vec<String> = (0..5).map(|n| format!("good password {n}")).collect();
    let email = ada.email();
    let uses = passwords.iter().map(|password| recover(&client, &email, &code, password));
    let answers = futures::future::join_all(uses).await;
    let winners: Vec<usize> = (0..5).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    for (n, password) in passwords.iter().enumerate() {
        login(&client, "ada", password).await.expect(if n == winners[0] { 200 } else { 401 });
    }
}

#[tokio::test]
async fn c1_codes_have_twenty_bits_and_more() {
    let lab = Arc::new(Lab::new());
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..50 {
        let user = lab.client().register(&format!("user{n}")).await;
        assert_eq!(newest(&lab, &user.email()).code().len(), 32);
        let code = recovery_code(&lab, &user.email()).await;
        assert_eq!(code.len(), 6, "six letters of 31 are 29 bits");
        assert!(seen.insert(code));
    }
}

#[tokio::test]
async fn c2_no_code_or_token_is_stored_in_clear() {
    let lab = Arc::new(Lab::new());
    lab.settle(false);
    let (ada, _) = {
        lab.settle(true);
        user_with_sms_code(&lab, "ada").await
    };
    ask_recovery(&lab.client(), &ada.email()).await.expect(200);
    let refreshed = ada.refresh_with(&ada.refresh_token).await.expect(200).json();
    // A message that waits in the outbox must not tell its code either.
    lab.mailer.fail(Some(portico_core::memory::mailer::Failure::Temporary));
    let bob = lab.client().register("bob").await;
    ask_recovery(&lab.client(), &bob.email()).await.expect(200);
    let waiting = format!("{:?}", lab.ports.store);
    lab.mailer.fail(None);
    lab.clock.advance(60);
    lab.app.drain_outbox().await;
    let stored = format!("{waiting}\n{:?}", lab.ports.store);
    for table in ["user_verifications", "outbox", "sessions", "code_hash", "ada@example.com"] {
        assert!(waiting.contains(table), "the dump holds {table}");
    }
    let sent = [ada.email(), bob.email(), PHONE.to_owned()];
    let mut secrets: Vec<String> =
        sent.iter().flat_map(|to| sent_to(&lab, to)).map(|message| message.code()).collect();
    assert_eq!(secrets.len(), 5);
    secrets.extend([ada.refresh_token.clone(), ada.access_token.clone(), bob.refresh_token.clone()]);
    secrets.push(refreshed["refresh_token"].as_str().unwrap().to_owned());
    secrets.push(PASSWORD.to_owned());
    for secret in secrets {
        assert!(!stored.contains(&secret), "{secret} is stored");
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!stored.contains(signature), "{signature} is stored");
    }
}

#[tokio::test]
async fn c3_of_a_hundred_parallel_guesses_five_are_compared() {
    let lab = overlapping();
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let email = ada.email();
    // The right code is among them, but not among the first.
    let guesses: Vec<String> =
        (0..99).map(|n| format!("{n:06}").replace(|c| c > '1', "1")).chain([code.clone()]).collect();
    let tries = guesses.iter().map(|guess| recover(&client, &email, guess, NEW_PASSWORD));
    for answer in futures::future::join_all(tries).await {
        answer.expect_problem(401, "invalid_code");
    }
    assert_eq!(verification(&lab, &ada.id, "recovery").await["attempts"], 5);
    recover(&client, &email, &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn c3_after_five_wrong_tries_the_right_code_is_refused() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    for _ in 0..5 {
        confirm_phone(&ada, WRONG).await.expect_problem(422, "invalid_code");
        confirm_email(&ada, WRONG).await.expect_problem(422, "invalid_code");
        recover(&client, &ada.email(), WRONG, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    }
    confirm_phone(&ada, &sms).await.expect_problem(429, "too_many_attempts");
    confirm_email(&ada, &token).await.expect_problem(429, "too_many_attempts");
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    assert_password(&client, "ada").await;
}

#[tokio::test]
async fn c3_four_wrong_tries_are_forgiven() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    for _ in 0..4 {
        recover(&client, &ada.email(), WRONG, NEW_PASSWORD).await.expect(401);
    }
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c4_a_code_of_one_user_is_no_code_of_another() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, bob) = (client.register("ada").await, client.register("bob").await);
    let code = recovery_code(&lab, &bob.email()).await;
    ask_recovery(&client, &ada.email()).await.expect(200);
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    let token = newest_code_of_length(&lab, &bob.email(), 32);
    confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
    recover(&client, &bob.email(), &code, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c4_a_code_of_one_purpose_is_none_of_another() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    for other in [&sms, &token] {
        recover(&client, &ada.email(), other, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    }
    for other in [&code, &token] {
        confirm_phone(&ada, other).await.expect_problem(422, "invalid_code");
    }
    for other in [&code, &sms] {
        confirm_email(&ada, other).await.expect_problem(422, "invalid_code");
    }
    confirm_phone(&ada, &sms).await.expect(200);
    confirm_email(&ada, &token).await.expect(200);
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c4_changing_the_address_voids_its_codes() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    update(&ada, json!({"email": "new@example.com", "phone": "+4915112345679"})).await.expect(200);
    confirm_phone(&ada, &sms).await.expect_problem(422, "invalid_code");
    confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
    for email in ["ada@example.com", "new@example.com"] {
        recover(&client, email, &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    }
    assert_password(&client, "ada").await;
    let after = ada.client.get("/v1/users/me").await.expect(200).json();
    assert_eq!((&after["email_confirmed"], &after["phone_confirmed"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn c4_an_address_changed_at_the_same_moment_voids_its_codes() {
    let (lab, store) = interposed();
    let client = lab.client();
    let ada = client.register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let (owner, changed) = (ada.clone(), json!({"email": "new@example.com"}));
    store.once_before(puts_into(&USERS), async move {
        update(&owner, changed).await.expect(200);
    });
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    assert!(store.is_over());
    assert_password(&client, "ada").await;
    assert_eq!(user_row(&lab, &ada.id).await["email_confirmed"], false);

    let token = newest_code_of_length(&lab, "ada@example.com", 32);
    update(&ada, json!({"email": "ada@example.com"})).await.expect(200);
    let (owner, changed) = (ada.clone(), json!({"email": "new@example.com"}));
    store.once_before(puts_into(&USERS), async move {
        update(&owner, changed).await.expect(200);
    });
    confirm_email(&ada, &token).await.expect_problem(422, "invalid_code");
    assert!(store.is_over());
    assert_eq!(user_row(&lab, &ada.id).await["email_confirmed"], false);
}

#[tokio::test]
async fn c5_a_new_code_voids_the_old() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    let (old, old_token) =
        (recovery_code(&lab, &ada.email()).await, newest_code_of_length(&lab, &ada.email(), 32));
    lab.clock.advance(61);
    ada.client.post_empty("/v1/confirm-email/request").await.expect(200);
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let new = recovery_code(&lab, &ada.email()).await;
    assert_ne!((&old, &old_token), (&new, &token));
    recover(&client, &ada.email(), &old, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    confirm_email(&ada, &old_token).await.expect_problem(422, "invalid_code");
    confirm_email(&ada, &token).await.expect(200);
    recover(&client, &ada.email(), &new, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c5_a_new_code_does_not_refill_the_guesses() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let ada = client.register("ada").await;
    recovery_code(&lab, &ada.email()).await;
    for n in 0..5 {
        lab.clock.advance(61);
        recovery_code(&lab, &ada.email()).await;
        recover(&client, &ada.email(), &format!("00000{}", n % 2), NEW_PASSWORD).await.expect(401);
    }
    lab.clock.advance(61);
    let code = recovery_code(&lab, &ada.email()).await;
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    // When the window is over there are five again.
    lab.clock.advance(10 * 60);
    let code = recovery_code(&lab, &ada.email()).await;
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c6_get_never_uses_a_code_up() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    let links = [
        format!("/v1/confirm-email/validate-code?token={token}"),
        format!("/v1/confirm-phone/validate-code?otp={sms}"),
        format!("/v1/password-recovery/validate-code?email={}&otp={code}", ada.email()),
    ];
    for link in &links {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let body =
                json!({"token": token, "otp": sms, "email": ada.email(), "new_password": NEW_PASSWORD});
            let answer = ada.client.call(method.clone(), link, Some(&body)).await;
            assert!(matches!(answer.status, 204 | 405), "{method} {link}: {}", answer.status);
        }
    }
    confirm_phone(&ada, &sms).await.expect(200);
    confirm_email(&ada, &token).await.expect(200);
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn c7_unknown_addresses_cost_and_get_the_same() {
    let CountedLab { lab, store, hasher } = CountedLab::new();
    let client = lab.client();
    for name in ["known", "disabled", "deleted"] {
        client.register(name).await;
    }
    let admin = client.admin("root").await;
    let disabled = client.sign_in("disabled").await;
    admin.client.put(&disabled.path(), json!({"enable": 0})).await.expect(200);
    client.sign_in("deleted").await.client.delete("/v1/users/me").await.expect(200);
    lab.settle(false);
    let mut expected: Option<Vec<_>> = None;
    for name in ["known", "unknown", "disabled", "deleted"] {
        let email = format!("{name}@example.com");
        let mut seen = Vec::new();
        for step in 0..12 {
            lab.background.run().await;
            let _ = (store.take(), hasher.take());
            let answer = match step {
                // Anew, within the cool-down, guesses beyond the fifth, and again after the cool-down.
                0 | 1 | 10 => ask_recovery(&client, &email).await,
                9 => {
                    lab.clock.advance(61);
                    continue;
                }
                11 => recover(&client, &email, WRONG, "password").await,
                _ => recover(&client, &email, WRONG, NEW_PASSWORD).await,
            };
            seen.push((step, normalized(&answer), store.take(), hasher.take()));
        }
        let first = expected.get_or_insert_with(|| seen.clone());
        for (first, seen) in first.iter().zip(&seen) {
            assert_eq!(first, seen, "{name}");
        }
    }
    let expected = expected.unwrap();
    assert_eq!(expected.iter().map(|step| step.1.0).collect::<Vec<_>>()[..3], [200, 200, 401]);
}

#[tokio::test]
async fn c7_the_message_leaves_after_the_answer() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    lab.settle(false);
    ask_recovery(&lab.client(), &ada.email()).await.expect(200);
    let before = lab.mailer.tries();
    assert_eq!(sent_to(&lab, &ada.email()).len(), 1);
    lab.background.run().await;
    assert_eq!(lab.mailer.tries(), before + 1);
    assert_eq!(newest(&lab, &ada.email()).subject, "Recover your account");
    // Nothing is sent to an address without an account.
    ask_recovery(&lab.client(), "nobody@example.com").await.expect(200);
    lab.background.run().await;
    lab.clock.advance(3600);
    lab.app.drain_outbox().await;
    assert!(sent_to(&lab, "nobody@example.com").is_empty());
}

/// A user with another session, on another device.
async fn with_other_session(lab: &Arc<Lab>, username: &str) -> (User, User) {
    let user = lab.client().register(username).await;
    let other = lab.client().sign_in(username).await;
    (user, other)
}

#[tokio::test]
async fn c8_a_changed_password_ends_other_sessions_and_is_announced() {
    let lab = Arc::new(Lab::new());
    let (ada, other) = with_other_session(&lab, "ada").await;
    let bob = lab.client().register("bob").await;
    change_password(&ada, PASSWORD, NEW_PASSWORD).await.expect(200);
    assert_ended(&other).await;
    assert_live(&ada).await;
    ada.refresh_with(&ada.refresh_token).await.expect(200);
    assert_live(&bob).await;
    assert_eq!(newest(&lab, &ada.email()).subject, "Your password was changed");
}

#[tokio::test]
async fn c8_a_recovered_password_ends_other_sessions_and_is_announced() {
    let lab = Arc::new(Lab::new());
    let (ada, other) = with_other_session(&lab, "ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    let recovered = recover(&lab.client(), &ada.email(), &code, NEW_PASSWORD).await.expect(200);
    let recovered = User::of(&lab.client(), "ada", &recovered);
    assert_ended(&ada).await;
    assert_ended(&other).await;
    assert_live(&recovered).await;
    assert_eq!(newest(&lab, &ada.email()).subject, "Your password was changed");
    // Not even a later sweep ends the session that the recovery began.
    lab.clock.advance(120);
    lab.app.drain_outbox().await;
    assert_live(&recovered).await;
}

#[tokio::test]
async fn c8_a_changed_address_ends_other_sessions_and_is_announced_to_the_old_one() {
    let lab = Arc::new(Lab::new());
    let (ada, other) = with_other_session(&lab, "ada").await;
    update(&ada, json!({"email": "new@example.com"})).await.expect(200);
    assert_ended(&other).await;
    assert_live(&ada).await;
    assert_eq!(newest(&lab, "ada@example.com").subject, "Your e-mail address was changed");
    assert!(!subjects(&lab, "new@example.com").contains(&"Your e-mail address was changed".to_owned()));
}

#[tokio::test]
async fn c8_a_changed_phone_number_ends_other_sessions_and_is_announced() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    update(&ada, json!({"phone": PHONE})).await.expect(200);
    for phone in [json!("+4915112345679"), Value::Null] {
        let other = lab.client().sign_in("ada").await;
        let before = sent_to(&lab, &ada.email()).len();
        update(&ada, json!({"phone": phone})).await.expect(200);
        assert_ended(&other).await;
        assert_live(&ada).await;
        let sent = sent_to(&lab, &ada.email());
        assert_eq!(
            (sent.len(), sent[before].subject.as_str()),
            (before + 1, "Your phone number was changed")
        );
    }
    // Other changes end nothing.
    let other = lab.client().sign_in("ada").await;
    update(&ada, json!({"first_name": "Augusta", "email": "ADA@example.com"})).await.expect(200);
    assert_live(&other).await;
}

#[tokio::test]
async fn c8_an_admins_change_ends_every_session_of_the_user() {
    let lab = Arc::new(Lab::new());
    let (ada, other) = with_other_session(&lab, "ada").await;
    let admin = lab.client().admin("root").await;
    admin.client.put(&ada.path(), json!({"email": "new@example.com"})).await.expect(200);
    assert_ended(&ada).await;
    assert_ended(&other).await;
    assert_live(&admin).await;
    assert_eq!(newest(&lab, "ada@example.com").subject, "Your e-mail address was changed");
}

#[tokio::test]
async fn c9_a_changed_address_or_number_is_not_confirmed() {
    let lab = Arc::new(Lab::new());
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    confirm_phone(&ada, &sms).await.expect(200);
    confirm_email(&ada, &newest_code_of_length(&lab, &ada.email(), 32)).await.expect(200);
    let flags = async |changes: Value| {
        let user = update(&ada, changes).await.expect(200).json();
        ["email_confirmed", "verified", "phone_confirmed"].map(|name| user[name].as_bool().unwrap())
    };
    assert_eq!(flags(json!({"first_name": "Augusta"})).await, [true; 3]);
    assert_eq!(flags(json!({"email": "ADA@example.com", "phone": "+49 151 1234 5678"})).await, [true; 3]);
    assert_eq!(flags(json!({"phone": "+4915112345679"})).await, [true, true, false]);
    assert_eq!(flags(json!({"phone": PHONE})).await, [true, true, false]);
    assert_eq!(flags(json!({"email": "new@example.com"})).await, [false; 3]);
    assert_eq!(flags(json!({"email": "ada@example.com"})).await, [false; 3]);
}

#[tokio::test]
async fn codes_expire() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    lab.clock.advance(15 * 60);
    confirm_phone(&ada, &sms).await.expect_problem(422, "invalid_code");
    recover(&client, &ada.email(), &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    lab.clock.advance(23 * 60 * 60);
    confirm_email(&ada, &token).await.expect(200);

    let bob = client.register("bob").await;
    let token = newest_code_of_length(&lab, &bob.email(), 32);
    lab.clock.advance(24 * 60 * 60);
    confirm_email(&bob, &token).await.expect_problem(422, "invalid_code");
}

#[tokio::test]
async fn codes_are_entered_in_any_case() {
    let lab = Arc::new(Lab::new());
    let client = lab.client();
    let (ada, sms) = user_with_sms_code(&lab, "ada").await;
    let token = newest_code_of_length(&lab, &ada.email(), 32);
    let code = recovery_code(&lab, &ada.email()).await;
    confirm_phone(&ada, &format!(" {}-{} ", &sms[..3], sms[3..].to_lowercase())).await.expect(200);
    confirm_email(&ada, &token.to_lowercase()).await.expect(200);
    recover(&client, "ADA@example.com", &code.to_lowercase(), NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_code_for_a_new_address_need_not_wait() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    update(&ada, json!({"email": "new@example.com"})).await.expect(200);
    ada.client.post_empty("/v1/confirm-email/request").await.expect(200);
    confirm_email(&ada, &newest(&lab, "new@example.com").code()).await.expect(200);
}

#[tokio::test]
async fn a_recovery_code_is_of_no_use_after_deletion() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    let code = recovery_code(&lab, &ada.email()).await;
    ada.client.delete("/v1/users/me").await.expect(200);
    recover(&lab.client(), "ada@example.com", &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
    // Nor for whoever has the address next.
    lab.client().post("/v1/users", registration("ada")).await.expect(201);
    recover(&lab.client(), "ada@example.com", &code, NEW_PASSWORD).await.expect_problem(401, "invalid_code");
}
