//! The schema's tables in DynamoDB: made where they are missing, otherwise left as they are.
//!
//! What exists and differs is reported as a [`Mismatch`], never changed.

use futures::future::try_join_all;

use super::{
    client::{Answer, TableDescription, TimeToLiveDescription},
    mismatch::{self, Mismatch},
    names::TableNames,
    request::{
        AttributeDefinition, BillingMode, CreateTable, GlobalIndex, KeyElement, Projection, Request,
        TableName, Throughput, TimeToLiveSpecification, UpdateTimeToLive,
    },
    retry::{Refusal, Sender},
};
use crate::{
    ports::store::{StoreError, StoreErrorKind},
    schema::{Index, TABLES, Table},
};

/// How long new tables may take until they are ready, in milliseconds.
const READY_DEADLINE_MS: u64 = 300_000;

/// How often that is asked, in milliseconds.
const READY_PAUSE_MS: u64 = 1_000;

/// What [`prepare`] found and did.
#[derive(Debug, Default, PartialEq)]
pub struct Prepared {
    /// The names of the tables that were missing and now are there.
    pub created: Vec<String>,
    /// Where a table is not as the schema wants it.
    pub mismatches: Vec<Mismatch>,
}

/// Makes the tables that are missing, waits until they are ready, and compares all with the schema.
///
/// # Behavior
/// - A table that exists is not changed; one that another instance makes at the same moment is awaited.
/// - On demand (`PAY_PER_REQUEST`), indexes with whole items, TTL on the attribute that the schema names.
///
/// # Errors
/// As [`super::store::DynamoStore`]'s; `Unavailable` when a table is not ready after five minutes.
pub async fn prepare(sender: Sender<'_>, names: &TableNames) -> Result<Prepared, StoreError> {
    let (mut missing, mut unready) = (Vec::new(), Vec::new());
    for table in TABLES {
        match describe(sender, names.of(table)).await? {
            Some(found) if found.table_status != "CREATING" => {}
            Some(_) => unready.push(table),
            None => missing.push(table),
        }
    }
    for &table in &missing {
        create(sender, table, names.of(table)).await?;
    }
    for &table in missing.iter().chain(&unready) {
        wait_until_ready(sender, names.of(table)).await?;
    }
    for &table in &missing {
        if let Some(attribute) = table.expires {
            enable_expiry(sender, names.of(table), attribute).await?;
        }
    }
    let created = missing.iter().map(|table| names.of(table).to_owned()).collect();
    Ok(Prepared { created, mismatches: inspect(sender, names).await? })
}

/// Compares the tables with the schema, and changes nothing.
///
/// # Errors
/// As [`super::store::DynamoStore`]'s.
pub async fn inspect(sender: Sender<'_>, names: &TableNames) -> Result<Vec<Mismatch>, StoreError> {
    let inspections = TABLES.map(|table| async move {
        let name = names.of(table);
        let Some(found) = describe(sender, name).await? else {
            return Ok(vec![Mismatch::missing(table, name)]);
        };
        let expiry = describe_expiry(sender, name).await?;
        Ok::<_, StoreError>(mismatch::compare(table, name, &found, &expiry))
    });
    Ok(try_join_all(inspections).await?.concat())
}

/// The request that makes a table.
#[must_use]
pub fn creation(table: &'static Table, name: &str) -> CreateTable {
    let mut attributes: Vec<&str> = vec![table.hash];
    attributes.extend(table.range);
    attributes.extend(table.indexes.iter().flat_map(|index| [Some(index.hash), index.range]).flatten());
    attributes.sort_unstable();
    attributes.dedup();
    CreateTable {
        table_name: name.to_owned(),
        attribute_definitions: attributes.into_iter().map(string_definition).collect(),
        key_schema: key_schema(table.hash, table.range),
        global_secondary_indexes: table.indexes.iter().map(|index| global_index(index, None)).collect(),
        billing_mode: BillingMode::PayPerRequest,
    }
}

/// The request that says by which attribute a table's items expire.
#[must_use]
pub fn expiry(name: &str, attribute: &str, enabled: bool) -> UpdateTimeToLive {
    let attribute_name = attribute.to_owned();
    UpdateTimeToLive {
        table_name: name.to_owned(),
        time_to_live_specification: TimeToLiveSpecification { attribute_name, enabled },
    }
}

pub(super) fn global_index(index: &Index, provisioned_throughput: Option<Throughput>) -> GlobalIndex {
    GlobalIndex {
        index_name: index.name.to_owned(),
        key_schema: key_schema(index.hash, index.range),
        projection: Projection { projection_type: "ALL".to_owned() },
        provisioned_throughput,
    }
}

pub(super) fn key_schema(hash: &str, range: Option<&str>) -> Vec<KeyElement> {
    let element =
        |name: &str, kind: &str| KeyElement { attribute_name: name.to_owned(), key_type: kind.to_owned() };
    [Some(element(hash, "HASH")), range.map(|name| element(name, "RANGE"))].into_iter().flatten().collect()
}

pub(super) fn string_definition(name: &str) -> AttributeDefinition {
    AttributeDefinition { attribute_name: name.to_owned(), attribute_type: "S".to_owned() }
}

pub(super) async fn describe(sender: Sender<'_>, name: &str) -> Result<Option<TableDescription>, StoreError> {
    match sender.send(&Request::DescribeTable(TableName { table_name: name.to_owned() })).await {
        Ok(Answer::Table(description)) => Ok(Some(description)),
        Ok(_) => Err(another_answer()),
        Err(refusal) if has_code(&refusal, "ResourceNotFoundException") => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

pub(super) async fn describe_expiry(
    sender: Sender<'_>,
    name: &str,
) -> Result<TimeToLiveDescription, StoreError> {
    match sender.send(&Request::DescribeTimeToLive(TableName { table_name: name.to_owned() })).await? {
        Answer::TimeToLive(description) => Ok(description),
        _ => Err(another_answer()),
    }
}

async fn create(sender: Sender<'_>, table: &'static Table, name: &str) -> Result<(), StoreError> {
    match sender.send(&Request::CreateTable(creation(table, name))).await {
        Ok(_) => Ok(()),
        // Another instance was faster, or an attempt of ours whose answer was lost.
        Err(refusal) if has_code(&refusal, "ResourceInUseException") => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

async fn wait_until_ready(sender: Sender<'_>, name: &str) -> Result<(), StoreError> {
    let (mut waited, mut status) = (0, "not there yet".to_owned());
    while waited <= READY_DEADLINE_MS {
        if let Some(found) = describe(sender, name).await? {
            if is_ready(&found) {
                return Ok(());
            }
            status = found.table_status;
        }
        sender.clock.sleep(READY_PAUSE_MS).await;
        waited += READY_PAUSE_MS;
    }
    Err(StoreError::new(StoreErrorKind::Unavailable, format!("table {name} is {status}: start again later")))
}

fn is_ready(found: &TableDescription) -> bool {
    let indexes = &mut found.global_secondary_indexes.iter();
    found.table_status == "ACTIVE" && indexes.all(|index| index.index_status == "ACTIVE")
}

async fn enable_expiry(sender: Sender<'_>, name: &str, attribute: &str) -> Result<(), StoreError> {
    if mismatch::expires_by(&describe_expiry(sender, name).await?, attribute) {
        return Ok(());
    }
    match sender.send(&Request::UpdateTimeToLive(expiry(name, attribute, true))).await {
        Ok(_) => Ok(()),
        // Another instance may have been faster here too, which DynamoDB calls invalid.
        Err(refusal) => match describe_expiry(sender, name).await {
            Ok(found) if mismatch::expires_by(&found, attribute) => Ok(()),
            _ => Err(refusal.into()),
        },
    }
}

fn has_code(refusal: &Refusal, code: &str) -> bool {
    refusal.failure.code.as_deref() == Some(code)
}

fn another_answer() -> StoreError {
    StoreError::new(StoreErrorKind::Unexpected, "the client answered another operation than was asked")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };

    use futures::executor::block_on;
    use serde_json::json;

    use super::*;
    use crate::{
        dynamo::{
            client::{Failure, IndexDescription},
            script::{Script, code, cut},
        },
        memory::{entropy::SeededEntropy, restless_clock::RestlessClock},
        schema::{NOTIFICATIONS, STATUSES, USER_VERIFICATIONS},
    };

    /// What a created table would be described as.
    fn described(creation: &CreateTable, status: &str) -> TableDescription {
        let index = |index: &GlobalIndex| IndexDescription {
            index_name: index.index_name.clone(),
            index_status: "ACTIVE".into(),
            key_schema: index.key_schema.clone(),
            projection: index.projection.clone(),
        };
        TableDescription {
            table_status: status.into(),
            key_schema: creation.key_schema.clone(),
            attribute_definitions: creation.attribute_definitions.clone(),
            global_secondary_indexes: creation.global_secondary_indexes.iter().map(index).collect(),
            provisioned_throughput: None,
            item_count: None,
        }
    }

    #[derive(Default)]
    struct Account {
        tables: BTreeMap<String, (TableDescription, u32)>,
        expiries: BTreeMap<String, String>,
        created: Vec<String>,
    }

    impl Account {
        /// Answers about tables; a new one is active when it is described for the third time.
        fn answer(&mut self, request: &Request) -> Result<Answer, Failure> {
            match request {
                Request::DescribeTable(table) => {
                    let Some((found, asked)) = self.tables.get_mut(&table.table_name) else {
                        return Err(code("ResourceNotFoundException"));
                    };
                    *asked += 1;
                    if *asked == 3 {
                        found.table_status = "ACTIVE".into();
                    }
                    Ok(Answer::Table(found.clone()))
                }
                Request::CreateTable(creation) => {
                    let name = &creation.table_name;
                    if self.tables.contains_key(name) {
                        return Err(code("ResourceInUseException"));
                    }
                    self.created.push(name.clone());
                    self.tables.insert(name.clone(), (described(creation, "CREATING"), 0));
                    Ok(Answer::Done)
                }
                Request::DescribeTimeToLive(table) => {
                    let attribute_name = self.expiries.get(&table.table_name).cloned();
                    let status = if attribute_name.is_some() { "ENABLING" } else { "DISABLED" };
                    let time_to_live_status = status.into();
                    Ok(Answer::TimeToLive(TimeToLiveDescription { time_to_live_status, attribute_name }))
                }
                Request::UpdateTimeToLive(update) => {
                    let (table, _) = &self.tables[&update.table_name];
                    assert_eq!(table.table_status, "ACTIVE");
                    let attribute = update.time_to_live_specification.attribute_name.clone();
                    assert!(self.expiries.insert(update.table_name.clone(), attribute).is_none());
                    Ok(Answer::Done)
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn prepare_with(script: &Script, names: &TableNames) -> Result<Prepared, StoreError> {
        let (clock, entropy) = (RestlessClock::default(), SeededEntropy::new(1));
        block_on(prepare(Sender { client: script, clock: &clock, entropy: &entropy, budget: None }, names))
    }

    #[test]
    fn missing_tables_are_made_once_and_expire_as_the_schema_says() {
        let account = Arc::new(Mutex::new(Account::default()));
        let answering = account.clone();
        let script = Script::answering(move |request| answering.lock().unwrap().answer(request));
        let names = TableNames::from_fn(|table| Some(format!("prod-{}", table.name)));
        let prepared = prepare_with(&script, &names).unwrap();
        assert_eq!(prepared.created.len(), TABLES.len());
        assert_eq!(prepared.mismatches, []);
        let account = account.lock().unwrap();
        assert_eq!(account.created, prepared.created);
        let expiries: Vec<(&str, &str)> =
            account.expiries.iter().map(|(name, attribute)| (&**name, &**attribute)).collect();
        assert_eq!(
            expiries,
            [
                ("prod-counters", "expires_at"),
                ("prod-notifications", "purge_at"),
                ("prod-sessions", "purge_at"),
                ("prod-user_verifications", "expires_at"),
            ]
        );
        drop(account);
        let again = prepare_with(&script, &names).unwrap();
        assert_eq!(again, Prepared::default());
    }

    #[test]
    fn tables_that_another_instance_makes_meanwhile_are_awaited() {
        let account = Arc::new(Mutex::new(Account::default()));
        let script = Script::answering(move |request| {
            let mut account = account.lock().unwrap();
            match request {
                // The other one makes the table and its expiry just before us.
                Request::CreateTable(_) => {
                    account.answer(request)?;
                    account.answer(request)
                }
                Request::UpdateTimeToLive(_) => {
                    account.answer(request)?;
                    Err(code("ValidationException"))
                }
                _ => account.answer(request),
            }
        });
        assert_eq!(prepare_with(&script, &TableNames::default()).unwrap().mismatches, []);
    }

    #[test]
    fn a_creation_whose_answer_was_lost_is_no_failure() {
        let account = Arc::new(Mutex::new(Account::default()));
        let mut lost = false;
        let script = Script::answering(move |request| {
            let answer = account.lock().unwrap().answer(request);
            match request {
                Request::CreateTable(_) if !std::mem::replace(&mut lost, true) => Err(cut()),
                _ => answer,
            }
        });
        let prepared = prepare_with(&script, &TableNames::default()).unwrap();
        assert_eq!((prepared.created.len(), prepared.mismatches), (TABLES.len(), vec![]));
    }

    #[test]
    fn a_table_that_is_never_ready_is_unavailable() {
        let script = Script::answering(|request| match request {
            Request::DescribeTable(_) => Ok(Answer::Table(described(&creation(&STATUSES, "s"), "CREATING"))),
            other => panic!("{other:?}"),
        });
        let error = prepare_with(&script, &TableNames::default()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        assert!(error.detail.contains("table users is CREATING"), "{error}");
    }

    #[test]
    fn credentials_that_may_not_look_are_told_so() {
        let script = Script::new([Err(code("AccessDeniedException"))]);
        let error = prepare_with(&script, &TableNames::default()).unwrap_err();
        assert!(error.detail.contains("allow the DynamoDB actions"), "{error}");
    }

    #[test]
    fn a_table_is_created_with_its_keys_and_whole_indexes() {
        assert_eq!(
            serde_json::to_value(creation(&NOTIFICATIONS, "n")).unwrap(),
            json!({
                "TableName": "n", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "created_at", "AttributeType": "S"},
                    {"AttributeName": "notification_id", "AttributeType": "S"},
                    {"AttributeName": "unread_of", "AttributeType": "S"},
                    {"AttributeName": "user_id", "AttributeType": "S"},
                ],
                "KeySchema": [{"AttributeName": "notification_id", "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "user_id-created_at-index",
                        "KeySchema": [
                            {"AttributeName": "user_id", "KeyType": "HASH"},
                            {"AttributeName": "created_at", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "ALL"},
                    },
                    {
                        "IndexName": "unread_of-notification_id-index",
                        "KeySchema": [
                            {"AttributeName": "unread_of", "KeyType": "HASH"},
                            {"AttributeName": "notification_id", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "ALL"},
                    },
                ],
            })
        );
        let pair = serde_json::to_value(creation(&USER_VERIFICATIONS, "v")).unwrap();
        assert_eq!(pair.get("GlobalSecondaryIndexes"), None);
        assert_eq!(pair["KeySchema"][1], json!({"AttributeName": "type", "KeyType": "RANGE"}));
    }
}
