//! What becomes of a promised text message, on the real server: retries, giving up, and asking again.

use std::sync::Arc;

use portico_tests::client::{Client, User};
use portico_tests::emulators::Emulators;
use portico_tests::messages::Message;
use portico_tests::native::NativeHost;
use portico_tests::tables::Tables;
use serde_json::{Value, json};

use crate::support::*;

const NUMBER: &str = "+4915112345678";

/// A server that sends by SNS, and Ada, who has a phone.
struct Scene {
    emulators: Arc<Emulators>,
    host: Arc<NativeHost>,
    tables: Tables,
    ada: User,
}

impl Scene {
    async fn new() -> Self {
        let emulators = Arc::new(Emulators::start());
        let host = Arc::new(NativeHost::start_on_emulators(&emulators, &[("SMS_SENDER", "sns")]).await);
        let tables = Tables::of(&emulators).await;
        let ada = with_phone(&host).await;
        until_nothing_is_promised(&tables).await;
        Self { emulators, host, tables, ada }
    }

    async fn refuse(&self, action: Value) {
        let mut rule = json!({"service": "sns", "operation": "Publish"});
        rule.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        self.emulators.misbehave(rule).await;
    }

    async fn texts(&self) -> Vec<String> {
        texts_to(&self.emulators, NUMBER).await
    }

    /// Asks for a code, and confirms the phone by the one that arrives.
    async fn confirm(&self) {
        let before = self.texts().await.len();
        request(&self.ada).await.expect(200);
        until("a code arrives", async || self.texts().await.len() > before).await;
        validate(&self.ada, self.texts().await.last().unwrap()).await;
    }

    /// Asserts that the log holds neither the number nor any code that left.
    async fn assert_silent_log(&self) {
        let log = self.host.log_text();
        assert!(!log.contains(NUMBER.trim_start_matches('+')), "{log}");
        for text in self.texts().await {
            assert!(!log.contains(&code(&text)), "{log}");
        }
    }
}

async fn with_phone(host: &Arc<NativeHost>) -> User {
    let ada = Client::new(host.clone()).register("ada").await;
    ada.client.put(&ada.path(), json!({"phone": NUMBER})).await.expect(200);
    ada
}

async fn request(user: &User) -> portico_tests::client::Answer {
    user.client.post_empty("/v1/confirm-phone/request").await
}

async fn validate(user: &User, text: &str) {
    let body = json!({"otp": code(text)});
    user.client.post("/v1/confirm-phone/validate-code", body).await.expect(200);
}

fn code(text: &str) -> String {
    let (channel, to) = ("sms".to_owned(), NUMBER.to_owned());
    Message { channel, to, subject: String::new(), text: text.to_owned() }.code()
}

#[tokio::test]
async fn a_code_that_sns_refuses_at_first_arrives_once() {
    let scene = Scene::new().await;
    scene.refuse(json!({"action": "error", "status": 403, "code": "AuthorizationError", "times": 2})).await;
    request(&scene.ada).await.expect(200);
    for (n, pause) in [(1, FIRST_PAUSE), (2, 2 * FIRST_PAUSE)] {
        until_counted(&scene.host, RETRIED, "sms", n).await;
        assert!(scene.texts().await.is_empty());
        scene.tables.age(pause).await;
    }
    until_nothing_is_promised(&scene.tables).await;
    let texts = scene.texts().await;
    let [text] = &texts[..] else { panic!("{texts:?}") };
    validate(&scene.ada, text).await;
    until_counted(&scene.host, ABANDONED, "sms", 0).await;
    scene.assert_silent_log().await;
}

#[tokio::test]
async fn a_code_that_sns_does_not_take_in_time_is_given_up_visibly_and_can_be_asked_for_again() {
    let scene = Scene::new().await;
    // It takes them, and says that it did not: what the log must not tell is known, then.
    scene.refuse(json!({"action": "apply_then_500"})).await;
    request(&scene.ada).await.expect(200);
    until_counted(&scene.host, RETRIED, "sms", 1).await;
    request(&scene.ada).await.expect_problem(429, "too_soon");
    scene.tables.age(14 * 60).await;
    // The try after this one would come when the code has expired.
    let event = given_up(&scene.host).await;
    assert_eq!((&event["channel"], &event["attempts"]), (&json!("sms"), &json!(2)), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("SNS: Internal"), "{event}");
    until_counted(&scene.host, ABANDONED, "sms", 1).await;
    until_counted(&scene.host, RETRIED, "sms", 1).await;
    until_nothing_is_promised(&scene.tables).await;
    scene.assert_silent_log().await;
    scene.emulators.behave().await;
    scene.confirm().await;
}

#[tokio::test]
async fn a_number_that_takes_no_messages_is_given_up_at_once() {
    let scene = Scene::new().await;
    let message = format!("{NUMBER} has opted out");
    scene
        .refuse(json!({"action": "error", "status": 400, "code": "OptedOut", "message": message, "times": 1}))
        .await;
    request(&scene.ada).await.expect(200);
    let event = given_up(&scene.host).await;
    assert_eq!((&event["channel"], &event["attempts"]), (&json!("sms"), &json!(1)), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("OptedOut"), "{event}");
    until_counted(&scene.host, ABANDONED, "sms", 1).await;
    scene.assert_silent_log().await;
    request(&scene.ada).await.expect_problem(429, "too_soon");
    scene.tables.age(60).await;
    scene.confirm().await;
    until_counted(&scene.host, ABANDONED, "sms", 1).await;
}

#[tokio::test]
async fn without_a_sender_the_route_says_so_and_promises_nothing() {
    let emulators = Arc::new(Emulators::start());
    let host = Arc::new(NativeHost::start_on_emulators(&emulators, &[("SMS_SENDER", "none")]).await);
    let ada = with_phone(&host).await;
    let tables = Tables::of(&emulators).await;
    until_nothing_is_promised(&tables).await;
    for _ in 0..2 {
        request(&ada).await.expect_problem(503, "sms_not_configured");
    }
    until_nothing_is_promised(&tables).await;
    assert_eq!(emulators.calls("sns", "Publish").await, 0);
}
