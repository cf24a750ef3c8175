//! That an error is noticed: what [`browse`] calls clean has been listened to.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::browser::{Browser, browse};

/// Pages with one fault each, and what the console says to it.
const FAULTS: [(&str, &str); 6] = [
    ("<script>console.error('the page has a complaint')</script>", "the page has a complaint"),
    ("<script>missing.member</script>", "missing is not defined"),
    ("<script>Promise.reject(new Error('nobody caught this'))</script>", "nobody caught this"),
    (
        "<meta http-equiv=content-security-policy content=\"default-src 'none'\"><style>p{}</style>",
        "style-src",
    ),
    ("<img src='http://127.0.0.1:1/nowhere.png'>", "nowhere.png"),
    ("<iframe sandbox='allow-scripts' srcdoc='<script>absent()</script>'></iframe>", "absent is not defined"),
];

async fn errors_of(browser: &Browser, html: &str) -> Vec<String> {
    browser.open_url(&format!("data:text/html,<!doctype html><link rel=icon href='data:,'>{html}")).await;
    browser.errors().await
}

#[tokio::test]
async fn each_kind_of_error_is_noticed_once() {
    browse(async |browser| {
        for (html, complaint) in FAULTS {
            let errors = errors_of(browser, html).await;
            assert!(errors.len() == 1 && errors[0].contains(complaint), "{html}: {errors:?}");
        }
        assert!(errors_of(browser, "<script>console.log('all is well')</script>").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_fails_is_noticed() {
    browse(async |browser| {
        browser.open("/v1/nowhere").await;
        let errors = browser.errors().await;
        assert!(errors.len() == 1 && errors[0].contains("404"), "{errors:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_loaded_from_elsewhere_is_noticed() {
    browse(async |browser| {
        browser.open("/docs").await;
        assert!(browser.foreign_requests().await.is_empty());
        browser.evaluate("new Image().src = 'http://127.0.0.1:1/spy.png'").await;
        browser.open("/docs").await;
        assert_eq!(browser.foreign_requests().await, ["http://127.0.0.1:1/spy.png"]);
        browser.errors().await;
    })
    .await;
}

#[tokio::test]
async fn a_case_fails_by_its_console_alone() {
    let case = browse(async |browser| {
        browser.open_url("data:text/html,<script>console.error('a complaint')</script>").await;
    });
    let failure = AssertUnwindSafe(case).catch_unwind().await.expect_err("the case fails");
    let words = failure.downcast_ref::<String>().expect("a message");
    assert!(words.contains("the console has errors") && words.contains("a complaint"), "{words}");
}
