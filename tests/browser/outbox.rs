//! `/dev/outbox`: what would have been sent.

use portico_tests::client::User;
use serde_json::json;

use crate::browser::browse;
use crate::layout::{LARGE, SMALL, assert_legible};

const MAIL: &str = "article:has(h2)";
const FRAME: &str = "article:has(h2) iframe";

#[tokio::test]
async fn an_empty_outbox_says_what_fills_it() {
    browse(async |browser| {
        browser.open("/dev/outbox").await;
        assert_eq!(browser.title().await, "Outbox · Portico");
        assert!(browser.text("main").await.starts_with("No messages yet: register an account"));
        assert!(browser.find_all("article").await.is_empty());
        assert_eq!(browser.foreign_requests().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_mail_shows_its_code_as_text_and_as_it_was_designed() {
    browse(async |browser| {
        browser.open("/dev/outbox").await;
        let ada = browser.client().register("ada").await;
        let code = browser.client().newest_message_to(&ada.email()).await.code();
        browser.open("/dev/outbox").await;
        assert!(browser.text("main").await.contains("to ada@example.com"));
        assert_eq!(browser.text(&format!("{MAIL} h2")).await, "Confirm your e-mail address");
        assert!(browser.text(&format!("{MAIL} pre")).await.contains(&code));
        assert!(!browser.find(FRAME).await.is_displayed().await.expect("an element"));
        browser.click(&format!("{MAIL} summary")).await;
        assert!(browser.find(FRAME).await.is_displayed().await.expect("an element"));
        let designed = browser.frame_text(FRAME).await;
        assert!(designed.contains("ada") && designed.contains(&code), "{designed}");
        browser.click(&format!("{MAIL} summary")).await;
        assert!(!browser.find(FRAME).await.is_displayed().await.expect("an element"));
        assert_eq!(browser.foreign_requests().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_newest_message_comes_first_whatever_its_channel() {
    browse(async |browser| {
        let ada = browser.client().register("ada").await;
        browser.client().newest_message_to(&ada.email()).await;
        let code = code_by_sms(&ada, "+4915112345678").await;
        browser.open("/dev/outbox").await;
        let order = "return [...document.querySelectorAll('.channel')].map(channel => channel.textContent)";
        assert_eq!(browser.evaluate(order).await, json!(["sms", "email"]));
        let sms = browser.text("article:not(:has(h2))").await;
        assert!(sms.contains("to +4915112345678") && sms.contains(&code), "{sms}");
    })
    .await;
}

async fn code_by_sms(user: &User, phone: &str) -> String {
    user.client.put("/v1/users/me", json!({"phone": phone})).await.expect(200);
    user.client.post_empty("/v1/confirm-phone/request").await.expect(200);
    user.client.newest_message_to(phone).await.code()
}

#[tokio::test]
async fn it_is_legible_by_day_and_night_on_any_screen() {
    browse(async |browser| {
        let longest = "a".repeat(32);
        let user = browser.client().register(&longest).await;
        browser.client().newest_message_to(&user.email()).await;
        for (scheme, width) in [("light", LARGE), ("dark", LARGE), ("light", SMALL), ("dark", SMALL)] {
            browser.prefer(scheme, width).await;
            browser.open("/dev/outbox").await;
            browser.click(&format!("{MAIL} summary")).await;
            assert_legible(browser, scheme, width).await;
        }
    })
    .await;
}
