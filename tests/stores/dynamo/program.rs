//! The program with `STORAGE_BACKEND=aws`: started, stopped and asked by its operator.

use std::process::Stdio;

use bytes::Bytes;
use http::Request;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::request::{CreateTable, Request as Ask};
use portico_core::dynamo::tables::creation;
use portico_core::schema::{SESSIONS, TABLES, USERS};
use portico_tests::emulators::Emulators;
use portico_tests::hosts::Host;
use portico_tests::native::NativeHost;
use serde_json::json;

use super::Account;

/// What a command printed, and whether it did what it was asked.
struct Outcome {
    done: bool,
    text: String,
}

async fn run(host: &NativeHost, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = host.command(arguments);
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().await.expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    Outcome { done: output.status.success(), text: String::from_utf8(text).expect("text") }
}

async fn start(emulators: &Emulators) -> NativeHost {
    let variables = emulators.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    NativeHost::start_with(&[&variables[..], &[("SMS_SENDER", "outbox")]].concat()).await
}

async fn sign_in(host: &NativeHost, username: &str, password: &str) -> u16 {
    let body = json!({ "username": username, "password": password }).to_string();
    let request = Request::post("/v1/sessions/login").header("content-type", "application/json");
    host.send(request.body(Bytes::from(body)).expect("a request")).await.status
}

async fn make(emulators: &Emulators, request: CreateTable) {
    Account::patient(emulators).await.client.send(&Ask::CreateTable(request)).await.expect("a table");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_is_created_while_it_serves_and_outlives_the_host() {
    let emulators = Emulators::start();
    let host = start(&emulators).await;
    let create = ["admin", "create", "--username", "root", "--email", "root@example.com"];
    let said = host.run(&create, "correct horse battery staple").await;
    assert!(said.contains("administrator root created"), "{said}");
    assert_eq!(sign_in(&host, "root", "correct horse battery staple").await, 200);
    let ready = Request::get("/v1/health-check/ready").body(Bytes::new()).expect("a request");
    assert_eq!(host.send(ready).await.status, 200);
    assert!(!host.data_dir().join("portico.db").exists(), "nothing is kept here");
    host.stop().await;
    let another = start(&emulators).await;
    assert_eq!(sign_in(&another, "root", "correct horse battery staple").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_of_credentials_clock_and_each_table() {
    let emulators = Emulators::start();
    let host = start(&emulators).await;
    let Outcome { done, text } = run(&host, &["doctor"], &[]).await;
    assert!(done, "{text}");
    for line in [
        &format!("ok       region         us-east-1 at {}", emulators.url()),
        "ok       credentials    access key test of AWS_ACCESS_KEY_ID",
        "ok       clock          ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for table in TABLES {
        assert!(text.contains(&format!("ok       table          {}\n", table.name)), "{text}");
    }

    let others = ("DYNAMO_TABLE_FILES", "other-files");
    let Outcome { done, text } = run(&host, &["doctor"], &[others]).await;
    assert!(done, "what is missing is made at the start: {text}");
    let missing = "warning  table          made at first start, if the credentials may; table other-files: it does not exist; \
                   run: aws dynamodb create-table --cli-input-json '{\"TableName\":\"other-files\",";
    assert!(text.contains(missing), "{text}");

    let mut request = creation(&USERS, "poor-users");
    request.global_secondary_indexes.retain(|index| index.index_name == "username-index");
    request
        .attribute_definitions
        .retain(|definition| ["user_id", "username"].contains(&definition.attribute_name.as_str()));
    make(&emulators, request).await;
    let Outcome { done, text } = run(&host, &["doctor"], &[("DYNAMO_TABLE_USERS", "poor-users")]).await;
    assert!(!done, "{text}");
    let lines = text.matches("PROBLEM  table          table poor-users: it has no index ").count();
    assert_eq!(lines, USERS.indexes.len() - 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_to_do_about_what_does_not_answer() {
    let emulators = Emulators::start();
    let host = start(&emulators).await;
    for (variable, value, told) in [
        ("AWS_SECRET_ACCESS_KEY", "canary", "DynamoDB does not accept the signature"),
        ("AWS_ACCESS_KEY_ID", "other", "DynamoDB does not know the credentials"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "it does not answer: check AWS_ENDPOINT_URL"),
    ] {
        let Outcome { done, text } = run(&host, &["doctor"], &[(variable, value)]).await;
        assert!(!done && !text.contains("canary"), "{variable}: {text}");
        assert!(text.contains(&format!("PROBLEM  dynamodb       {told}")), "{variable}: {text}");
    }
    // Nothing in the SDK's default chain either: no profile, no role.
    let none = [
        ("STORAGE_BACKEND", "aws"),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let Outcome { done, text } = run(&host, &["doctor"], &none).await;
    assert!(!done, "{text}");
    assert!(text.contains("PROBLEM  credentials    none: set AWS_ACCESS_KEY_ID"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_refused_only_for_a_table_that_is_of_no_use() {
    let emulators = Emulators::start();
    let host = start(&emulators).await;
    let mut request = creation(&SESSIONS, "wrong-sessions");
    request.global_secondary_indexes.clear();
    request.key_schema[0].attribute_name = "id".to_owned();
    request.attribute_definitions.truncate(1);
    request.attribute_definitions[0].attribute_name = "id".to_owned();
    make(&emulators, request).await;
    let Outcome { done, text } = run(&host, &["serve"], &[("DYNAMO_TABLE_SESSIONS", "wrong-sessions")]).await;
    assert!(!done, "{text}");
    let told =
        "portico: DynamoDB cannot be used:\n  table wrong-sessions: its key is (id) and must be (session_id)";
    assert!(text.contains(told), "{text}");

    let mut request = creation(&SESSIONS, "slow-sessions");
    request.global_secondary_indexes.clear();
    request.attribute_definitions.retain(|definition| definition.attribute_name == "session_id");
    make(&emulators, request).await;
    let variables = emulators.variables();
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let variables: Vec<_> =
        variables.chain([("SMS_SENDER", "outbox"), ("DYNAMO_TABLE_SESSIONS", "slow-sessions")]).collect();
    NativeHost::start_with(&variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_awss() {
    let emulators = Emulators::start();
    let host = start(&emulators).await;
    for arguments in [["backup", "copy"], ["restore", "copy"]] {
        let Outcome { done, text } = run(&host, &arguments, &[]).await;
        assert!(!done && text.contains("turn on point-in-time recovery"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_those_that_are_named() {
    let emulators = Emulators::start();
    let variables = emulators.variables();
    let mut variables: Vec<(String, String)> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let names = TableNames::from_fn(|table| Some(format!("Prod.{}", table.name)));
    for table in TABLES {
        variables
            .push((format!("DYNAMO_TABLE_{}", table.name.to_ascii_uppercase()), names.of(table).to_owned()));
    }
    variables.push(("SMS_SENDER".to_owned(), "none".to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let host = NativeHost::start_with(&variables).await;
    let create = ["admin", "create", "--username", "root", "--email", "root@example.com"];
    host.run(&create, "correct horse battery staple").await;
    assert_eq!(sign_in(&host, "root", "correct horse battery staple").await, 200);
    let calls = emulators.tell("/_calls").await;
    let resources = calls["last"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|call| (call["service"] == "dynamodb").then(|| call["resource"].as_str()).flatten());
    let foreign: Vec<_> = resources.filter(|resource| !resource.contains("Prod.")).collect();
    assert_eq!(foreign, [""; 0]);
}
