//! Each way to misbehave, and when.

use crate::dynamodb::{call, count, create_table, done, put};
use crate::process::Emulators;
use crate::s3;
use crate::signer::signer;
use crate::sns::publish;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn with_table() -> Emulators {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    emulators
}

async fn add(emulators: &Emulators, action: &str, more: Value) {
    let mut rule = json!({ "service": "dynamodb", "operation": "PutItem", "action": action, "times": 1 });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    emulators.add_fault(rule).await;
}

/// Puts an item and tells the status and code answered.
async fn put_one(emulators: &Emulators) -> (u16, String) {
    let answer = call(emulators, "PutItem", put("1")).await;
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn errors_are_each_service_s_own_and_nothing_is_done() {
    let emulators = with_table().await;
    for (action, status, code) in [
        ("throttle", 400, "ProvisionedThroughputExceededException"),
        ("internal_error", 500, "InternalServerError"),
        ("unavailable", 503, "ServiceUnavailable"),
        ("transaction_conflict", 400, "TransactionConflictException"),
        ("transaction_in_progress", 400, "TransactionInProgressException"),
    ] {
        add(&emulators, action, json!({})).await;
        assert_eq!(put_one(&emulators).await, (status, code.to_owned()));
    }
    add(&emulators, "error", json!({ "status": 400, "code": "AccessDeniedException", "message": "no" }))
        .await;
    assert_eq!(put_one(&emulators).await, (400, "AccessDeniedException".to_owned()));
    assert_eq!(count(&emulators).await, 0);
    assert_eq!(put_one(&emulators).await.0, 200, "each hit once only");

    for (service, action, status, code) in [
        ("s3", "throttle", 503, "SlowDown"),
        ("s3", "internal_error", 500, "InternalError"),
        ("sns", "throttle", 400, "Throttling"),
        ("sns", "internal_error", 500, "InternalFailure"),
        ("sns", "unavailable", 503, "ServiceUnavailable"),
    ] {
        emulators.add_fault(json!({ "service": service, "action": action, "times": 1 })).await;
        let answer = match service {
            "s3" => s3::call(&emulators, "PUT", "/files", &[], b"").await,
            _ => publish(&emulators, &[("PhoneNumber", "+4915112345678"), ("Message", "x")]).await,
        };
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{service} {action}");
    }
    assert_eq!(s3::call(&emulators, "HEAD", "/files", &[], b"").await.status, 404);

    s3::call(&emulators, "PUT", "/files", &[], b"").await;
    emulators
        .add_fault(json!({ "service": "s3", "operation": "PutObject", "action": "throttle", "times": 1 }))
        .await;
    let large = vec![0; 8 * 1024 * 1024];
    assert_eq!(s3::call(&emulators, "PUT", "/files/large", &[], &large).await.code(), "SlowDown");
    assert_eq!(s3::call(&emulators, "GET", "/files/large", &[], b"").await.code(), "NoSuchKey");
    assert_eq!(emulators.admin_json("/_aws/sns/sms-messages").await["sms_messages"], json!({}));
}

#[tokio::test]
async fn a_conflict_of_transactions_names_the_item() {
    let emulators = with_table().await;
    emulators
        .add_fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "action": "transaction_conflict" }))
        .await;
    let transaction = json!({ "TransactItems": [{ "Put": put("1") }, { "Put": put("2") }] });
    let answer = call(&emulators, "TransactWriteItems", transaction).await;
    assert_eq!(answer.code(), "TransactionCanceledException");
    let body = answer.json();
    assert_eq!(body["CancellationReasons"][0]["Code"], "TransactionConflict");
    assert_eq!(body["CancellationReasons"][1]["Code"], "None");
    assert!(body["message"].as_str().unwrap().ends_with("[TransactionConflict, None]"), "{body}");
}

#[tokio::test]
async fn a_delayed_call_is_done_later_and_a_stalled_one_never() {
    let emulators = with_table().await;
    add(&emulators, "delay", json!({ "delay_ms": 300 })).await;
    let begun = Instant::now();
    assert_eq!(put_one(&emulators).await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    add(&emulators, "stall", json!({})).await;
    let stalled = tokio::time::timeout(Duration::from_millis(300), put_one(&emulators)).await;
    assert!(stalled.is_err(), "{stalled:?}");
    assert_eq!(put_one(&emulators).await.0, 200);
}

#[tokio::test]
async fn a_cut_connection_leaves_the_call_done_or_not_as_asked() {
    let emulators = with_table().await;
    for (action, done) in [("reset", 0), ("apply_then_reset", 1)] {
        add(&emulators, action, json!({})).await;
        let signed = signer("dynamodb").dynamodb(&emulators, "PutItem", &put("1"));
        assert!(signed.try_send(&emulators).await.is_err(), "{action}");
        assert_eq!(count(&emulators).await, done, "{action}");
    }
    emulators
        .add_fault(json!({ "service": "s3", "operation": "CreateBucket", "action": "apply_then_reset" }))
        .await;
    assert!(signer("s3").s3(&emulators, "PUT", "/files", &[], b"").try_send(&emulators).await.is_err());
    assert_eq!(s3::call(&emulators, "HEAD", "/files", &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_call_is_done_and_then_said_to_have_failed() {
    let emulators = with_table().await;
    add(&emulators, "apply_then_500", json!({})).await;
    assert_eq!(put_one(&emulators).await, (500, "InternalServerError".to_owned()));
    assert_eq!(count(&emulators).await, 1);
}

#[tokio::test]
async fn an_answer_ends_in_its_middle_or_is_html() {
    let emulators = with_table().await;
    done(&emulators, "PutItem", put("1")).await;
    emulators
        .add_fault(json!({ "service": "dynamodb", "operation": "Scan", "action": "truncate", "times": 1 }))
        .await;
    let scan = signer("dynamodb").dynamodb(&emulators, "Scan", &json!({ "TableName": "users" }));
    assert!(scan.try_send(&emulators).await.is_err());
    add(&emulators, "html", json!({})).await;
    let page = call(&emulators, "PutItem", put("2")).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (502, "text/html"));
    assert_eq!(count(&emulators).await, 1);
}

#[tokio::test]
async fn so_many_calls_pass_and_so_many_are_hit() {
    let emulators = with_table().await;
    add(&emulators, "throttle", json!({ "after": 2, "times": 3 })).await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(put_one(&emulators).await.0);
        assert_eq!(count(&emulators).await, 1, "another operation is not hit");
    }
    assert_eq!(statuses, [200, 200, 400, 400, 400, 200, 200]);
    let rule = &emulators.admin_json("/_faults").await[0];
    assert_eq!((&rule["seen"], &rule["applied"]), (&json!(7), &json!(3)));
    assert_eq!(emulators.admin("DELETE", "/_faults", "").await.status, 204);
    assert_eq!(emulators.admin_json("/_faults").await, json!([]));
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let emulators = with_table().await;
        let rule = json!({ "service": "dynamodb", "action": "throttle", "probability": 0.5, "seed": seed });
        emulators.add_fault(rule).await;
        let mut hits = Vec::new();
        for _ in 0..40 {
            hits.push(put_one(&emulators).await.0 == 400);
        }
        let count = hits.iter().filter(|hit| **hit).count();
        assert!((10..=30).contains(&count), "{count} of 40");
        runs.push(hits);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_with_a_reason() {
    let emulators = Emulators::start(&[]);
    for (rule, reason) in [
        ("{", "not JSON"),
        (r#"{"service":"dynamodb"}"#, "action"),
        (r#"{"service":"dynamodb","action":"explode"}"#, "explode"),
        (r#"{"service":"sqs","action":"reset"}"#, "sqs"),
        (r#"{"service":"s3","action":"reset","tims":1}"#, "tims"),
        (r#"{"service":"s3","action":"delay"}"#, "delay_ms"),
        (r#"{"service":"s3","action":"reset","probability":2}"#, "probability"),
        (r#"{"service":"s3","action":"transaction_conflict"}"#, "transactions"),
        (r#"{"service":"s3","action":"error"}"#, "status"),
        (r#"{"service":"s3","action":"reply","code":550}"#, "smtp"),
        (r#"{"service":"smtp","action":"throttle"}"#, "smtp"),
        (r#"{"service":"smtp","action":"reply","code":250}"#, "400 to 599"),
    ] {
        let answer = emulators.admin("POST", "/_faults", rule).await;
        assert_eq!(answer.status, 400, "{rule}");
        assert!(answer.text().contains(reason), "{rule}: {}", answer.text());
    }
    assert_eq!(emulators.admin_json("/_faults").await, json!([]));
}
