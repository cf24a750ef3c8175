//! The tables: made once, compared at every start, never changed.

use std::time::Duration;

use portico_core::dynamo::client::Answer;
use portico_core::dynamo::mismatch::{Mismatch, Remedy};
use portico_core::dynamo::request::{CreateTable, Request, TableName};
use portico_core::dynamo::tables::{creation, expiry};
use portico_core::schema::{SESSIONS, TABLES, Table, USERS};
use portico_tests::emulators::Emulators;
use tokio::time::sleep;

use super::Account;

impl Account {
    async fn make(&self, table: &'static Table, change: impl FnOnce(&mut CreateTable)) {
        let mut request = creation(table, self.names.of(table));
        change(&mut request);
        keep_what_is_used(&mut request);
        self.client.send(&Request::CreateTable(request)).await.unwrap();
    }

    async fn is_active(&self, table: &'static Table) -> bool {
        let table_name = self.names.of(table).to_owned();
        match self.client.send(&Request::DescribeTable(TableName { table_name })).await.unwrap() {
            Answer::Table(found) => {
                found.table_status == "ACTIVE"
                    && found.global_secondary_indexes.iter().all(|index| index.index_status == "ACTIVE")
            }
            other => panic!("{other:?}"),
        }
    }

    /// What a table's items expire by.
    async fn expires_by(&self, table: &'static Table) -> Option<String> {
        let table_name = self.names.of(table).to_owned();
        match self.client.send(&Request::DescribeTimeToLive(TableName { table_name })).await.unwrap() {
            Answer::TimeToLive(found) => {
                found.attribute_name.filter(|_| found.time_to_live_status == "ENABLED")
            }
            other => panic!("{other:?}"),
        }
    }
}

/// DynamoDB refuses definitions of attributes that are in no key.
fn keep_what_is_used(request: &mut CreateTable) {
    let keys = [&request.key_schema].into_iter();
    let keys = keys.chain(request.global_secondary_indexes.iter().map(|index| &index.key_schema));
    let used: Vec<String> = keys.flatten().map(|element| element.attribute_name.clone()).collect();
    request.attribute_definitions.retain(|definition| used.contains(&definition.attribute_name));
}

fn shown(mismatches: &[Mismatch]) -> Vec<String> {
    mismatches.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tables_are_made_with_their_expiry_and_only_once() {
    let emulators = Emulators::start();
    let account = Account::patient(&emulators).await;
    let first = account.store().prepare().await.unwrap();
    assert_eq!(first.created, TABLES.map(|table| account.names.of(table).to_owned()));
    assert_eq!(shown(&first.mismatches), [""; 0]);
    for table in TABLES {
        assert_eq!(account.expires_by(table).await.as_deref(), table.expires, "{}", table.name);
    }
    emulators.forget_calls().await;
    let second = account.store().prepare().await.unwrap();
    assert_eq!(second, Default::default());
    for write in ["CreateTable", "UpdateTable", "UpdateTimeToLive"] {
        assert_eq!(emulators.calls("dynamodb", write).await, 0, "{write}");
    }
    assert!(emulators.calls("dynamodb", "DescribeTable").await >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_make_the_tables_once() {
    let emulators = Emulators::start();
    let (one, other) = (Account::patient(&emulators).await, Account::patient(&emulators).await);
    let (one, other) = (one.store(), other.store());
    let (first, second) = tokio::join!(one.prepare(), other.prepare());
    assert_eq!((shown(&first.unwrap().mismatches), shown(&second.unwrap().mismatches)), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mismatch_is_told_with_the_command_that_mends_it() {
    let emulators = Emulators::start();
    let account = Account::patient(&emulators).await;
    account.make(&USERS, |request| request.global_secondary_indexes.truncate(1)).await;
    account.make(&SESSIONS, |_| {}).await;
    let prepared = account.store().prepare().await.unwrap();
    assert_eq!(prepared.created.len(), 8, "the two are left as they are");
    let told = shown(&prepared.mismatches);
    assert_eq!(told.len(), USERS.indexes.len(), "the other indexes, and the expiry: {told:?}");
    let index = USERS.indexes[1].name;
    assert!(
        told[0].starts_with(&format!(
            "table Test_users: it has no index {index}; run: aws dynamodb update-table --cli-input-json"
        )),
        "{told:?}"
    );
    let last = told.last().unwrap();
    assert!(last.starts_with("table Test_sessions: ") && last.contains("update-time-to-live"), "{last}");
    // What it tells to run does mend it: one index at a time, as DynamoDB wants it.
    for mismatch in prepared.mismatches {
        assert!(!mismatch.is_unusable());
        let Remedy::Request(request) = mismatch.remedy else { panic!("{mismatch}") };
        account.sender().send(&request).await.unwrap();
        while !account.is_active(&USERS).await {
            sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(shown(&account.store().inspect().await.unwrap()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_by_another_attribute_is_told() {
    let emulators = Emulators::start();
    let account = Account::patient(&emulators).await;
    account.prepared_store().await;
    let name = account.names.of(&USERS);
    account.client.send(&Request::UpdateTimeToLive(expiry(name, "gone_at", true))).await.unwrap();
    let told = shown(&account.store().inspect().await.unwrap());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("TTL is enabled on gone_at, and must be disabled"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_key_is_unusable() {
    let emulators = Emulators::start();
    let account = Account::patient(&emulators).await;
    account
        .make(&SESSIONS, |request| {
            request.global_secondary_indexes.clear();
            request.key_schema[0].attribute_name = "id".to_owned();
            request.attribute_definitions[0].attribute_name = "id".to_owned();
        })
        .await;
    let mismatches = account.store().prepare().await.unwrap().mismatches;
    let unusable: Vec<_> = mismatches.iter().filter(|mismatch| mismatch.is_unusable()).collect();
    assert_eq!(unusable.len(), 1, "{mismatches:?}");
    let told = unusable[0].to_string();
    assert!(told.starts_with("table Test_sessions: its key is (id) and must be (session_id)"), "{told}");
    assert!(told.contains("DYNAMO_TABLE_SESSIONS"), "{told}");
}
