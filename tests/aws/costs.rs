//! What operations cost, in DynamoDB's read and write request units, as the page says.
//!
//! The emulator counts by DynamoDB's rules: a strongly consistent read is a unit for each 4 KB, one of an index half of
//! that; a write is a unit for each KB, in a transaction two; each index that the item is in costs its own write.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::Method;
use portico::aws::connect;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::attribute::{AttributeValue, Attributes};
use portico_core::dynamo::client::{Answer, DynamoClient};
use portico_core::dynamo::request::{GetItem, PutItem, Request};
use portico_core::outbox::model::SHARDS;
use portico_core::schema::USERS;
use portico_tests::client::{Client, PASSWORD, User, registration};
use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

use crate::journey::upload;

const PAGE: &str = include_str!("../../docs/aws.md");

/// How the table of the page begins.
const HEAD: &str = "| operation | read units | write units | requests to S3 |\n| --- | --- | --- | --- |\n";

/// What was measured, and where.
struct Meter {
    host: Arc<NativeHost>,
    rows: Vec<String>,
}

impl Meter {
    fn emulators(&self) -> &Emulators {
        self.host.emulators().expect("it is on AWS")
    }

    async fn begin(&self) {
        self.settle().await;
        self.emulators().forget_calls().await;
    }

    /// Waits until nothing is written any more.
    async fn settle(&self) {
        loop {
            let before = self.writes().await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            if self.writes().await == before {
                return;
            }
        }
    }

    /// Waits until a message was sent, and its promise removed.
    async fn await_sent(&self) {
        while self.emulators().calls("dynamodb", "DeleteItem").await == 0 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.settle().await;
    }

    async fn writes(&self) -> u64 {
        let (emulators, mut writes) = (self.emulators(), 0);
        for operation in ["PutItem", "DeleteItem", "TransactWriteItems"] {
            writes += emulators.calls("dynamodb", operation).await;
        }
        writes
    }

    /// Adds what was done since [`Self::begin`], without the messages that it promised.
    async fn end(&mut self, operation: &str) {
        self.add(operation, |resource| !resource.starts_with("outbox")).await;
    }

    /// Adds what was done with the resources that count.
    async fn add(&mut self, operation: &str, counts: impl Fn(&str) -> bool) {
        let calls = self.calls().await;
        let of = |service: &'static str| calls.iter().filter(move |call| call["service"] == service);
        let (mut reads, mut writes) = (0.0, 0.0);
        for call in of("dynamodb").filter(|call| counts(call["resource"].as_str().unwrap_or_default())) {
            let units = call["units"].as_f64().unwrap_or_else(|| panic!("{operation}: {call}"));
            match call["operation"].as_str() {
                Some("GetItem" | "Query" | "Scan") => reads += units,
                _ => writes += units,
            }
        }
        let requests = of("s3").count();
        self.rows.push(format!("| {operation} | {reads} | {writes} | {requests} |\n"));
    }

    async fn calls(&self) -> Vec<Value> {
        self.emulators().tell("/_calls").await["last"].as_array().expect("a list").clone()
    }

    /// What a million times an operation cost, in the words of the page.
    fn million(&self, operation: &str) -> String {
        let row = self.rows.iter().find(|row| row.starts_with(&format!("| {operation} |"))).expect("a row");
        let [reads, writes] = [2, 3].map(|column| row.split('|').nth(column).expect("a column").trim());
        format!("A million sign-ins cost {reads} million read units and {writes} million write units")
    }

    /// Adds what a look for messages costs when there are none: a query of each shard.
    async fn add_look(&mut self, operation: &str) {
        self.begin().await;
        let looks = loop {
            let mut calls = self.calls().await;
            let is_look = |name: &str| name.starts_with("outbox/index/");
            calls.retain(|call| call["resource"].as_str().is_some_and(is_look) && call["units"].is_f64());
            if calls.len() >= usize::from(SHARDS) {
                break calls;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let units: f64 =
            looks.iter().take(usize::from(SHARDS)).filter_map(|call| call["units"].as_f64()).sum();
        self.rows.push(format!("| {operation} | {units} | 0 | 0 |\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_cost_what_the_page_says() {
    let host = Arc::new(NativeHost::start_on_aws_with(&[("SESSION_CACHE_SECONDS", "0")]).await);
    let client = Client::new(host.clone());
    let admin = client.admin("root").await;
    let mut meter = Meter { host, rows: Vec::new() };
    let ada = accounts(&client, &mut meter).await;
    codes(&client, &ada, &mut meter).await;
    let ada = client.sign_in("ada").await;
    notifications(&admin, &ada, &mut meter).await;
    files(&ada, &mut meter).await;
    users(&admin, &ada, &mut meter).await;
    meter.begin().await;
    client.get("/v1/health-check/ready").await.expect(200);
    meter.end("say that it is ready").await;
    meter.add_look("look for messages to send, every 2 seconds").await;
    let (_, table) = PAGE.split_once(HEAD).unwrap_or_else(|| panic!("docs/aws.md has no table {HEAD}"));
    let said: Vec<&str> = table.split_inclusive('\n').take_while(|line| line.starts_with('|')).collect();
    let million = meter.million("sign in");
    assert!(PAGE.contains(&million), "docs/aws.md must say: {million}");
    assert!(said == meter.rows, "docs/aws.md must say:\n{HEAD}{}", meter.rows.concat());
}

async fn accounts(client: &Client, meter: &mut Meter) -> User {
    meter.begin().await;
    let answer = client.post("/v1/users", registration("ada")).await.expect(201);
    meter.end("register").await;
    let ada = User::of(client, "ada", &answer);
    meter.await_sent().await;
    meter.add("send a message", |resource| resource == "outbox").await;
    meter.begin().await;
    client.post("/v1/sessions/login", json!({ "username": "ada", "password": PASSWORD })).await.expect(200);
    meter.end("sign in").await;
    meter.begin().await;
    ada.refresh_with(&ada.refresh_token).await.expect(200);
    meter.end("refresh").await;
    meter.begin().await;
    ada.client.get("/v1/sessions").await.expect(200);
    meter.end("show session and account").await;
    ada
}

async fn codes(client: &Client, ada: &User, meter: &mut Meter) {
    let token = client.newest_message_to(&ada.email()).await.code();
    meter.begin().await;
    ada.client.post("/v1/confirm-email/validate-code", json!({ "token": token })).await.expect(200);
    meter.end("confirm an address").await;
    meter.begin().await;
    client.post("/v1/password-recovery/request", json!({ "email": ada.email() })).await.expect(200);
    meter.end("ask for a code to recover the password").await;
}

async fn notifications(admin: &User, ada: &User, meter: &mut Meter) {
    let body = json!({ "user_id": ada.id, "message": "a sentence as they are sent, with a hundred letters ".repeat(2) });
    meter.begin().await;
    admin.client.post("/v1/notifications", body.clone()).await.expect(201);
    meter.end("notify").await;
    for _ in 1..50 {
        admin.client.post("/v1/notifications", body.clone()).await.expect(201);
    }
    meter.begin().await;
    let shown = ada.client.get("/v1/notifications?limit=50").await.expect(200).json();
    meter.end("list 50 notifications").await;
    let path = format!("/v1/notifications/{}", shown["data"][0]["id"].as_str().unwrap());
    meter.begin().await;
    ada.client.call(Method::PUT, &path, None).await.expect(200);
    meter.end("mark a notification read").await;
}

async fn files(ada: &User, meter: &mut Meter) {
    meter.begin().await;
    let file = upload(ada, b"hello", true).await.expect(201).json();
    meter.end("upload a file").await;
    meter.begin().await;
    upload(ada, &vec![b'a'; 20 << 20], true).await.expect(201);
    meter.end("upload a file of 20 MiB").await;
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    meter.begin().await;
    ada.client.get(&path).await.expect(200);
    meter.end("download a file").await;
    meter.begin().await;
    ada.client.delete(&path).await.expect(200);
    meter.end("delete a file").await;
}

/// Where there are many, 50 are read of each of the 8 shards.
async fn users(admin: &User, ada: &User, meter: &mut Meter) {
    let client = SdkClient::new(&connect(&meter.emulators().settings()).await);
    let key: Attributes = [("user_id".to_owned(), AttributeValue::string(&ada.id))].into();
    let get = GetItem { table_name: USERS.name.to_owned(), key, consistent_read: true };
    let Ok(Answer::Item(Some(row))) = client.send(&Request::GetItem(get)).await else { panic!("no user") };
    let twin = |n: usize| {
        let mut item = row.clone();
        item.insert("user_id".to_owned(), AttributeValue::string(format!("01H{n:023}")));
        item.insert("list_shard".to_owned(), AttributeValue::string((n % 8).to_string()));
        PutItem { table_name: USERS.name.to_owned(), item, condition: None }
    };
    let puts: Vec<Request> = (0..8 * 50).map(|n| Request::PutItem(twin(n))).collect();
    for put in join_all(puts.iter().map(|put| client.send(put))).await {
        put.expect("a user more");
    }
    meter.begin().await;
    let page = admin.client.get("/v1/users?limit=50").await.expect(200).json();
    assert_eq!(page["returned"], 50);
    meter.end("list 50 users").await;
}
