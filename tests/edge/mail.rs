//! Mail from the Worker through `portico relay` to a mail server, and what is left of it where there is no relay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_bench::ports::free_port;
use portico_tests::client::{Client, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::relay::{RelayHost, TOKEN};
use portico_tests::tables::Tables;
use serde_json::json;

async fn ask_recovery(user: &User) {
    let body = json!({ "email": user.email() });
    user.client.post("/v1/password-recovery/request", body).await.expect(200);
}

async fn edge(emulators: &Arc<Emulators>, relay_url: &str, token: &str) -> Client {
    let variables = [("MAIL_RELAY_URL", relay_url), ("MAIL_RELAY_TOKEN", token)];
    Client::new(Arc::new(EdgeHost::start_on(emulators, &variables).await))
}

/// Waits until so many messages are promised.
async fn await_promised(tables: &Tables, count: usize) {
    for _ in 0..200 {
        if tables.promised_messages().await == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{} messages are promised, not {count}", tables.promised_messages().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_through_the_relay_to_the_mail_server() {
    let emulators = Arc::new(Emulators::start());
    let relay = RelayHost::start(&emulators).await;
    let client = edge(&emulators, &relay.url(), TOKEN).await;
    let ada = client.register("ada").await;
    client.messages_to(&ada.email(), 1).await;
    ask_recovery(&ada).await;
    let otp = client.messages_to(&ada.email(), 2).await.pop().unwrap().code();
    let mails = emulators.tell(&format!("/_mail?to={}", ada.email())).await;
    for mail in mails.as_array().unwrap() {
        assert_eq!(mail["from"], "noreply@example.com");
        // The relay gives each its id, which the posted form has not.
        assert!(mail["raw"].as_str().unwrap().to_ascii_lowercase().contains("message-id:"), "{mail}");
    }
    let body = json!({ "email": ada.email(), "otp": otp, "new_password": "another good one" });
    client.post("/v1/password-recovery/validate-code", body).await.expect(200);
    assert!(emulators.calls("smtp", "CONNECT").await > 0, "mail came another way");
    // Taken over by the relay is done; the notice of the new password is the last.
    client.messages_to(&ada.email(), 3).await;
    await_promised(&Tables::of(&emulators).await, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_the_answer_comes_at_once_and_the_message_stays_promised() {
    let emulators = Arc::new(Emulators::start());
    let client = edge(&emulators, &format!("http://127.0.0.1:{}/messages", free_port()), TOKEN).await;
    let tables = Tables::of(&emulators).await;
    let ada = client.register("ada").await;
    let begun = Instant::now();
    ask_recovery(&ada).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
    await_promised(&tables, 2).await;
    // It has been tried meanwhile, and is kept all the same.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tables.promised_messages().await, 2);
    ada.client.get("/v1/sessions").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_knows_another_token_takes_nothing_and_nothing_is_lost() {
    let emulators = Arc::new(Emulators::start());
    let relay = RelayHost::start(&emulators).await;
    let other = "another-token-of-more-than-32-characters";
    let client = edge(&emulators, &relay.url(), other).await;
    let ada = client.register("ada").await;
    ask_recovery(&ada).await;
    let tables = Tables::of(&emulators).await;
    await_promised(&tables, 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tables.promised_messages().await, 2);
    assert_eq!(emulators.calls("smtp", "CONNECT").await, 0);
}
