//! SMS: where they go, how many, and how often.

use std::sync::Arc;

use portico_bench::ports::free_port;
use portico_tests::client::{Answer, Client, User};
use portico_tests::lab::{Lab, LabOptions, test_keys};
use portico_tests::metrics;
use portico_tests::native::NativeHost;
use serde_json::json;

use crate::support::*;

const DAY: i64 = 24 * 60 * 60;

/// A German mobile number.
fn number(n: usize) -> String {
    format!("+4915112345{n:03}")
}

async fn user_with(lab: &Arc<Lab>, username: &str, phone: &str) -> User {
    let user = lab.client().register(username).await;
    update(&user, json!({"phone": phone})).await.expect(200);
    user
}

async fn request(user: &User) -> Answer {
    user.client.post_empty("/v1/confirm-phone/request").await
}

/// The same user, talking to another instance.
fn at(lab: &Arc<Lab>, user: &User) -> User {
    User { client: lab.client().with_token(Some(&user.access_token)), ..user.clone() }
}

#[tokio::test]
async fn s1_only_e164_is_accepted() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    for wrong in [
        "12345",
        "015112345678",
        "+",
        "+1",
        "+49abc1234567",
        "tel:+4915112345678",
        "+491511234567890123",
        "++4915112345678",
    ] {
        update(&ada, json!({"phone": wrong})).await.expect_invalid(&[("/phone", "invalid_format")]);
    }
    for right in ["+49 (151) 12-34.56/78", "004915112345678"] {
        let user = update(&ada, json!({"phone": right})).await.expect(200).json();
        assert_eq!(user["phone"], "+4915112345678");
    }
    request(&ada).await.expect(200);
    assert_eq!(lab.sms.sent()[0].to, "+4915112345678");
}

#[tokio::test]
async fn s1_premium_numbers_get_no_sms() {
    let lab = Arc::new(Lab::new());
    for (n, premium) in
        ["+499001234567", "+449098790000", "+19002345678", "+33899123456"].into_iter().enumerate()
    {
        let user = lab.client().register(&format!("user{n}")).await;
        // A number that is refused as such gets none either.
        if update(&user, json!({"phone": premium})).await.status == 200 {
            request(&user).await.expect_invalid(&[("/phone", "not_allowed")]);
        }
    }
    assert_eq!(lab.sms.tries(), 0);
}

#[tokio::test]
async fn s1_only_listed_countries_get_sms() {
    let lab = Arc::new(Lab::with_variables(&[("SMS_COUNTRIES", "de,AT")]));
    for (n, (phone, allowed)) in [
        ("+4915112345678", true),
        ("+436641234567", true),
        ("+41791234567", false),
        ("+14155552671", false),
        ("+447400123456", false),
    ]
    .into_iter()
    .enumerate()
    {
        let user = user_with(&lab, &format!("user{n}"), phone).await;
        let answer = request(&user).await;
        if allowed {
            answer.expect(200);
        } else {
            answer.expect_invalid(&[("/phone", "not_allowed")]);
        }
    }
    assert_eq!(lab.sms.tries(), 2);
}

#[tokio::test]
async fn s2_one_number_gets_five_a_day_whoever_asks() {
    let lab = Arc::new(Lab::new());
    let phone = number(1);
    for n in 0..5 {
        let user = user_with(&lab, &format!("user{n}"), &phone).await;
        lab.move_to(address(u8::try_from(n).unwrap()));
        request(&user).await.expect(200);
        lab.clock.advance(3600);
    }
    let late = user_with(&lab, "late", &phone).await;
    let refused = request(&late).await.expect_problem(429, "too_many_attempts");
    assert!(retry_after(&refused) > 3600);
    let other = user_with(&lab, "other", &number(2)).await;
    request(&other).await.expect(200);
    // Another instance counts on.
    let second = restarted(&lab);
    request(&at(&second, &late)).await.expect_problem(429, "too_many_attempts");
    lab.clock.advance(DAY);
    request(&late).await.expect(200);
}

#[tokio::test]
async fn s2_one_account_gets_five_a_day_whatever_its_number() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    for n in 0..6 {
        update(&ada, json!({"phone": number(n)})).await.expect(200);
        let answer = request(&ada).await;
        if n < 5 {
            answer.expect(200);
        } else {
            answer.expect_problem(429, "too_many_attempts");
        }
        lab.clock.advance(3600);
    }
    assert_eq!(lab.sms.sent().len(), 5);
    request(&at(&restarted(&lab), &ada)).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn s2_one_address_gets_twenty_a_day() {
    let lab = Arc::new(Lab::new());
    let mut users = Vec::new();
    for n in 0..22 {
        users.push(user_with(&lab, &format!("user{n}"), &number(n)).await);
    }
    for user in &users[..20] {
        request(user).await.expect(200);
    }
    request(&users[20]).await.expect_problem(429, "too_many_attempts");
    request(&at(&restarted(&lab), &users[21])).await.expect_problem(429, "too_many_attempts");
    lab.move_to(address(1));
    request(&users[20]).await.expect(200);
}

#[tokio::test]
async fn s2_parallel_requests_take_from_one_budget_each_once() {
    let lab = overlapping();
    let mut users = Vec::new();
    for n in 0..8 {
        users.push(user_with(&lab, &format!("user{n}"), &number(n)).await);
    }
    for answer in futures::future::join_all(users.iter().map(request)).await {
        answer.expect(200);
    }
    assert_eq!(lab.sms.sent().len(), 8);
    // Of one account's parallel requests one is served.
    lab.clock.advance(3600);
    let same = futures::future::join_all((0..8).map(|_| request(&users[0]))).await;
    assert_eq!(same.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(lab.sms.sent().len(), 9);
}

#[tokio::test]
async fn s3_the_pauses_grow() {
    let lab = Arc::new(Lab::new());
    let ada = user_with(&lab, "ada", &number(1)).await;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        request(&ada).await.expect(200);
        let refused = request(&ada).await.expect_problem(429, "too_soon");
        let pause = retry_after(&refused);
        lab.clock.advance(i64::try_from(pause).unwrap() - 1);
        // Another instance says the same.
        request(&at(&restarted(&lab), &ada)).await.expect_problem(429, "too_soon");
        lab.clock.advance(1);
        pauses.push(pause);
    }
    assert!(pauses[0] >= 60 && pauses.is_sorted_by(|one, next| one < next), "{pauses:?}");
    assert_eq!(lab.sms.sent().len(), 4);
}

#[tokio::test]
async fn s4_the_daily_budget_stops_everybody() {
    let lab = Arc::new(Lab::with_variables(&[("SMS_DAILY_LIMIT", "2")]));
    let mut users = Vec::new();
    for n in 0..4 {
        lab.move_to(address(u8::try_from(n).unwrap()));
        users.push(user_with(&lab, &format!("user{n}"), &number(n)).await);
    }
    request(&users[0]).await.expect(200);
    request(&users[1]).await.expect(200);
    let refused = request(&users[2]).await.expect_problem(503, "sms_budget_spent");
    assert!(retry_after(&refused) > 0);
    let second = Arc::new(lab.restarted(&[("SMS_DAILY_LIMIT", "2")], test_keys()));
    request(&at(&second, &users[3])).await.expect_problem(503, "sms_budget_spent");
    assert_eq!((lab.sms.tries(), second.sms.tries()), (2, 0));
    lab.clock.advance(DAY);
    request(&users[2]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_the_log_and_a_metric_say_that_the_budget_is_spent() {
    let address = format!("127.0.0.1:{}", free_port());
    let host =
        Arc::new(NativeHost::start_with(&[("SMS_DAILY_LIMIT", "1"), ("METRICS_ADDR", &address)]).await);
    let client = Client::new(host.clone());
    let refused = async || metrics::counted(&address, "portico_sms_refused_by_budget_total").await;
    for n in 0..3 {
        let user = client.register(&format!("user{n}")).await;
        update(&user, json!({"phone": number(n)})).await.expect(200);
        let answer = request(&user).await;
        if n == 0 {
            answer.expect(200);
            assert_eq!(refused().await, 0);
        } else {
            answer.expect_problem(503, "sms_budget_spent");
            assert_eq!(refused().await, n as u64);
        }
    }
    host.stop().await;
    let said = host.log().into_iter().filter(|event| event["level"] == "ERROR");
    let said: Vec<String> =
        said.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(said.len() == 2 && said.iter().all(|text| text.contains("SMS_DAILY_LIMIT")), "{said:?}");
}

#[tokio::test]
async fn s4_a_budget_of_none_sends_none() {
    let lab = Arc::new(Lab::with_variables(&[("SMS_DAILY_LIMIT", "0")]));
    let ada = user_with(&lab, "ada", &number(1)).await;
    request(&ada).await.expect_problem(503, "sms_budget_spent");
    assert_eq!(lab.sms.tries(), 0);
}

#[tokio::test]
async fn without_a_sender_no_code_is_made_and_none_is_missed_later() {
    let options = LabOptions { ports: Some(Box::new(|ports| ports.sms = None)), ..LabOptions::default() };
    let lab = Arc::new(Lab::with(options));
    let ada = user_with(&lab, "ada", &number(1)).await;
    for _ in 0..7 {
        let refused = request(&ada).await.expect_problem(503, "sms_not_configured");
        assert!(retry_after(&refused) > 0);
    }
    assert!(!promises_to(&lab, &number(1)).await);
    let configured = restarted(&lab);
    let ada = at(&configured, &ada);
    request(&ada).await.expect(200);
    let code = newest(&configured, &number(1)).code();
    ada.client.post("/v1/confirm-phone/validate-code", json!({"otp": code})).await.expect(200);
    request(&ada).await.expect_problem(409, "already_confirmed");
}

#[tokio::test]
async fn without_a_number_there_is_nothing_to_confirm() {
    let lab = Arc::new(Lab::new());
    let ada = lab.client().register("ada").await;
    request(&ada).await.expect_problem(400, "no_phone");
    let answer = ada.client.post("/v1/confirm-phone/validate-code", json!({"otp": "ABCDEF"})).await;
    answer.expect_problem(400, "no_phone");
}
