//! DynamoDB's answers, as the edge reads them: none is taken for what it does not say, and every item comes back as it
//! was stored.
//!
//! The first line says what the rest is: `item TABLE VERSION` an item, `row TABLE` a row on the wire, `answer OPERATION
//! STATUS` a body, and anything else a call of the store, with the answers that it gets.
#![no_main]

use std::sync::Arc;

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use portico_core::dynamo::attribute::Attributes;
use portico_core::dynamo::client::Answer;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::request::{DeleteItem, GetItem, Request, Scan, TableName};
use portico_core::dynamo::size::{MAX_ITEM_SIZE, of_attributes};
use portico_core::dynamo::store::DynamoStore;
use portico_core::dynamo::{item, json};
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::store::{
    Condition, Item, Key, Query, Store, StoreError, StoreErrorKind, Version, Write,
};
use portico_core::schema::{SESSIONS, STATUSES, TABLES, Table, USERS};
use portico_edge::aws::dynamo::FetchClient;
use portico_fuzz::script::cut;
use portico_fuzz::service::{account, replies};

fuzz_target!(|text: &[u8]| {
    let Some((line, rest)) = cut(text, b"\n") else { return };
    let Ok(line) = std::str::from_utf8(line) else { return };
    let (what, argument) = line.split_once(' ').unwrap_or((line, ""));
    match what {
        "item" => {
            let (table, version) = argument.split_once(' ').unwrap_or((argument, "1"));
            if let (Ok(item), Ok(version)) = (serde_json::from_slice(rest), version.parse()) {
                stored(table_of(table), &item, Version(version));
            }
        }
        "row" => {
            if let Ok(row) = serde_json::from_slice(rest) {
                row_of(table_of(argument), row);
            }
        }
        "answer" => {
            let (request, status) = argument.split_once(' ').unwrap_or((argument, "200"));
            let request = requests().into_iter().find(|known| json::target(known).ends_with(request));
            if let (Some(request), Ok(status)) = (request, status.parse()) {
                bytes(&request, status, rest);
            }
        }
        call => store(call, rest),
    }
});

fn table_of(name: &str) -> &'static Table {
    TABLES.iter().copied().find(|table| table.name.ends_with(name)).unwrap_or(&STATUSES)
}

fn requests() -> [Request; 5] {
    let key = || item::key_attributes(&Key::new(&STATUSES, "a"));
    let table_name = || "t".to_owned();
    [
        Request::GetItem(GetItem { table_name: table_name(), key: key(), consistent_read: true }),
        Request::Scan(Scan {
            table_name: table_name(),
            consistent_read: true,
            limit: 9,
            exclusive_start_key: None,
        }),
        Request::DeleteItem(DeleteItem { table_name: table_name(), key: key(), condition: None }),
        Request::DescribeTable(TableName { table_name: table_name() }),
        Request::DescribeTimeToLive(TableName { table_name: table_name() }),
    ]
}

fn bytes(request: &Request, status: u16, body: &[u8]) {
    match json::decode(request, status, body) {
        Ok(answer) => {
            assert_eq!(status, 200, "{answer:?}");
            assert_eq!(matches!(answer, Answer::Done), request.writes(), "{answer:?}");
        }
        Err(failure) => assert!(!failure.to_string().is_empty()),
    }
}

/// What is stored comes back, within the limits that DynamoDB has.
fn stored(table: &'static Table, item: &Item, version: Version) {
    match item::encode(table, item, version) {
        Ok(attributes) => {
            assert!(of_attributes(&attributes) <= MAX_ITEM_SIZE);
            assert!(attributes.keys().all(|name| !name.is_empty()), "a name without characters");
            let wire = serde_json::to_vec(&attributes).expect("JSON");
            let read: Attributes = serde_json::from_slice(&wire).expect("attributes");
            let back = item::decode(table, read).expect("an item of ours");
            assert_eq!((&back.item, back.version), (item, version));
        }
        Err(error) => assert_eq!(error.kind, StoreErrorKind::TooLarge, "{error}"),
    }
}

/// A row that is read can be written again as what it was read as.
fn row_of(table: &'static Table, row: Attributes) {
    match item::decode(table, row) {
        Ok(read) => stored(table, &read.item, read.version),
        Err(error) => assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}"),
    }
}

fn store(call: &str, answers: &[u8]) {
    let client = Arc::new(FetchClient::new(account(replies(answers))));
    let (clock, entropy) = (Arc::new(RestlessClock::default()), Arc::new(SeededEntropy::new(1)));
    let store = DynamoStore::new(client, clock, entropy, TableNames::default());
    let put = |table: &'static Table, id: &str, when| {
        let item = Item::from_iter([(table.hash.to_owned(), id.into())]);
        Write::Put { key: Key::new(table, id), item, when }
    };
    let writes = [put(&USERS, "u", Condition::Absent), put(&SESSIONS, "s", Condition::Present)];
    let failure = match call {
        "get" => block_on(store.get(&Key::new(&USERS, "u"))).err(),
        "whole" => block_on(store.query(&Query::whole(&STATUSES))).err(),
        "query" => block_on(store.query(&Query::index(&SESSIONS, SESSIONS.indexes[0].name, "u"))).err(),
        "write" => conflict(block_on(store.transact(&writes[..1])), 1),
        "transact" => conflict(block_on(store.transact(&writes)), 2),
        "prepare" => block_on(store.prepare()).err(),
        _ => return,
    };
    if let Some(failure) = failure {
        assert!(!matches!(failure.kind, StoreErrorKind::Conflict { .. }), "{failure}");
    }
}

/// A conflict must name a write that there is; any other failure is given back.
fn conflict(outcome: Result<(), StoreError>, count: usize) -> Option<StoreError> {
    let failure = outcome.err()?;
    match failure.kind {
        StoreErrorKind::Conflict { write } => {
            assert!(write < count, "{failure}");
            None
        }
        _ => Some(failure),
    }
}
