//! The operations, in the shape and with the names of DynamoDB's API (version 2012-08-10); only what Portico
//! asks.
//!
//! Plain data: an adapter passes each field on. They serialise to the bodies of DynamoDB's JSON protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attribute::{AttributeValue, Attributes};

/// One request to DynamoDB.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Request {
    /// Reads an item.
    GetItem(GetItem),
    /// Stores an item.
    PutItem(PutItem),
    /// Removes an item.
    DeleteItem(DeleteItem),
    /// Writes many items or none.
    TransactWriteItems(TransactWriteItems),
    /// Reads a page of an index.
    Query(Query),
    /// Reads a page of a table.
    Scan(Scan),
    /// Creates a table.
    CreateTable(CreateTable),
    /// Asks how a table is made.
    DescribeTable(TableName),
    /// Adds an index to a table, or removes one.
    UpdateTable(UpdateTable),
    /// Asks by which attribute a table's items expire.
    DescribeTimeToLive(TableName),
    /// Says by which attribute a table's items expire.
    UpdateTimeToLive(UpdateTimeToLive),
}

impl Request {
    /// Whether it may change items or tables.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::GetItem(_)
            | Self::Query(_)
            | Self::Scan(_)
            | Self::DescribeTable(_)
            | Self::DescribeTimeToLive(_) => false,
            Self::PutItem(_)
            | Self::DeleteItem(_)
            | Self::TransactWriteItems(_)
            | Self::CreateTable(_)
            | Self::UpdateTable(_)
            | Self::UpdateTimeToLive(_) => true,
        }
    }
}

/// A condition, its names and values apart from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConditionExpression {
    /// The expression.
    pub condition_expression: String,
    /// Its attribute names: `#…` to name. Not sent if empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expression_attribute_names: BTreeMap<String, String>,
    /// Its values: `:…` to value. Not sent if empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expression_attribute_values: Attributes,
}

/// Reads an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetItem {
    /// The table.
    pub table_name: String,
    /// The key.
    pub key: Attributes,
    /// Whether the answer must not be stale.
    pub consistent_read: bool,
}

/// Stores an item; alone or in a transaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutItem {
    /// The table.
    pub table_name: String,
    /// The item.
    pub item: Attributes,
    /// What must hold.
    #[serde(flatten)]
    pub condition: Option<ConditionExpression>,
}

/// Removes an item; alone or in a transaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteItem {
    /// The table.
    pub table_name: String,
    /// The key.
    pub key: Attributes,
    /// What must hold.
    #[serde(flatten)]
    pub condition: Option<ConditionExpression>,
}

/// Fails its transaction if a condition does not hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConditionCheck {
    /// The table.
    pub table_name: String,
    /// The key.
    pub key: Attributes,
    /// What must hold.
    #[serde(flatten)]
    pub condition: ConditionExpression,
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum TransactItem {
    /// Stores an item.
    Put(PutItem),
    /// Removes an item.
    Delete(DeleteItem),
    /// Only checks a condition.
    ConditionCheck(ConditionCheck),
}

/// Writes many items or none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransactWriteItems {
    /// The writes.
    pub transact_items: Vec<TransactItem>,
    /// Makes the request idempotent for ten minutes: every attempt carries the same.
    pub client_request_token: String,
}

/// Reads a page of an index.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Query {
    /// The table.
    pub table_name: String,
    /// The index.
    pub index_name: String,
    /// The condition on the index's attributes.
    pub key_condition_expression: String,
    /// Its attribute names.
    pub expression_attribute_names: BTreeMap<String, String>,
    /// Its values.
    pub expression_attribute_values: Attributes,
    /// Whether the smallest range value comes first.
    pub scan_index_forward: bool,
    /// At most so many items.
    pub limit: i32,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_start_key: Option<Attributes>,
}

/// Reads a page of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Scan {
    /// The table.
    pub table_name: String,
    /// Whether the answer must not be stale.
    pub consistent_read: bool,
    /// At most so many items.
    pub limit: i32,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_start_key: Option<Attributes>,
}

/// Names a table, for the operations that ask about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableName {
    /// The table.
    pub table_name: String,
}

/// Creates a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateTable {
    /// The table.
    pub table_name: String,
    /// The types of the key attributes of table and indexes.
    pub attribute_definitions: Vec<AttributeDefinition>,
    /// The key.
    pub key_schema: Vec<KeyElement>,
    /// The indexes. Not sent if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub global_secondary_indexes: Vec<GlobalIndex>,
    /// How it is paid for.
    pub billing_mode: BillingMode,
}

/// How a table is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum BillingMode {
    /// By the request.
    #[serde(rename = "PAY_PER_REQUEST")]
    PayPerRequest,
}

/// The type of a key attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributeDefinition {
    /// The attribute.
    pub attribute_name: String,
    /// `S`, `N` or `B`.
    pub attribute_type: String,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyElement {
    /// The attribute.
    pub attribute_name: String,
    /// `HASH` or `RANGE`.
    pub key_type: String,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GlobalIndex {
    /// The index.
    pub index_name: String,
    /// The key.
    pub key_schema: Vec<KeyElement>,
    /// Which attributes it carries.
    pub projection: Projection,
    /// The capacity, for tables that are not paid for by the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<Throughput>,
}

/// Which attributes an index carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Projection {
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection_type: String,
}

/// Capacity that is paid for by the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Throughput {
    /// Reads per second.
    pub read_capacity_units: i64,
    /// Writes per second.
    pub write_capacity_units: i64,
}

/// Adds an index to a table, or removes one: one at a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateTable {
    /// The table.
    pub table_name: String,
    /// The types of the index's key attributes. Not sent if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attribute_definitions: Vec<AttributeDefinition>,
    /// The change.
    pub global_secondary_index_updates: Vec<IndexUpdate>,
}

/// A change of a table's indexes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum IndexUpdate {
    /// Adds an index; DynamoDB fills it while the table goes on serving.
    Create(GlobalIndex),
    /// Removes an index.
    Delete(IndexName),
}

/// Names an index.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexName {
    /// The index.
    pub index_name: String,
}

/// Says by which attribute a table's items expire.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateTimeToLive {
    /// The table.
    pub table_name: String,
    /// The attribute.
    pub time_to_live_specification: TimeToLiveSpecification,
}

/// By which attribute items expire, and whether they do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TimeToLiveSpecification {
    /// The attribute.
    pub attribute_name: String,
    /// Whether they do.
    pub enabled: bool,
}

/// A map of one value, for expressions.
pub(super) fn named<V>(entries: impl IntoIterator<Item = (&'static str, V)>) -> BTreeMap<String, V> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A string attribute, for keys.
pub(super) fn string_attribute(name: &str, value: &str) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::string(value))
}
