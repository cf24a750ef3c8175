//! What was called, as the actions on resources that AWS would look for in a policy.
//!
//! The actions of each operation stand in AWS's Service Authorization Reference, for S3 in "Required permissions for
//! Amazon S3 API operations", for transactions in "Using IAM with DynamoDB transactions".

use std::collections::BTreeSet;

use portico_tests::emulators::Emulators;
use serde_json::Value;

use crate::policy::Access;

const TABLES: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/";
const BUCKETS: &str = "arn:aws:s3:::";

/// Everything that was asked for since the calls were last forgotten.
///
/// # Panics
/// When the emulators no longer know it all, or something was asked for whose action is not known here.
pub async fn accesses(emulators: &Emulators) -> Vec<Access> {
    let record = emulators.tell("/_calls").await;
    let calls = record["last"].as_array().expect("a list");
    let counts = record["counts"].as_object().into_iter().flatten();
    let counted: u64 =
        counts.flat_map(|(_, counts)| counts.as_object().unwrap().values()).filter_map(Value::as_u64).sum();
    assert_eq!(counted, calls.len() as u64, "some calls are no longer listed");
    let all: BTreeSet<Access> = calls.iter().flat_map(accesses_of).collect();
    all.into_iter().collect()
}

fn accesses_of(call: &Value) -> Vec<Access> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (operation, resource) = (text(call, "operation"), text(call, "resource"));
    let resource = resource.trim_end_matches('/');
    match call["service"].as_str() {
        Some("dynamodb") if operation == "TransactWriteItems" => {
            let writes = call["writes"].as_array().expect("the writes of a transaction");
            writes.iter().map(|write| on_table(&text(write, "operation"), &text(write, "resource"))).collect()
        }
        Some("dynamodb") => vec![on_table(&operation, resource)],
        Some("s3") => vec![(s3_action(&operation).to_owned(), format!("{BUCKETS}{resource}"))],
        Some("sns") => vec![(format!("sns:{}", sns_action(&operation)), "*".to_owned())],
        Some("smtp") => Vec::new(),
        other => panic!("{other:?}"),
    }
}

/// DynamoDB's actions are called as its operations.
fn on_table(operation: &str, resource: &str) -> Access {
    (format!("dynamodb:{operation}"), format!("{TABLES}{resource}"))
}

fn s3_action(operation: &str) -> &'static str {
    match operation {
        "HeadBucket" => "s3:ListBucket",
        "CreateBucket" => "s3:CreateBucket",
        "GetObject" | "HeadObject" => "s3:GetObject",
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
        "AbortMultipartUpload" => "s3:AbortMultipartUpload",
        "DeleteObject" => "s3:DeleteObject",
        other => panic!("which action does {other} need?"),
    }
}

fn sns_action(operation: &str) -> &str {
    match operation {
        "GetSMSAttributes" | "Publish" => operation,
        other => panic!("which action does {other} need?"),
    }
}
