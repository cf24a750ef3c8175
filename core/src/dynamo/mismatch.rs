//! Where a table of DynamoDB is not as the schema wants it, and what mends it.
//!
//! More than the schema wants (an index of an older system, say) is no mismatch. Nothing here changes a
//! table.

use std::fmt;

use super::{
    client::{IndexDescription, TableDescription, TimeToLiveDescription},
    json,
    request::{IndexName, IndexUpdate, KeyElement, Request, UpdateTable},
    tables::{creation, expiry, global_index, key_schema, string_definition},
};
use crate::schema::{Index, Table};

/// A difference between a table and the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The table's name in this deployment.
    pub table: String,
    /// What is different, as a sentence.
    pub what: String,
    /// What mends it.
    pub remedy: Remedy,
}

/// What mends a mismatch.
#[derive(Clone, Debug, PartialEq)]
pub enum Remedy {
    /// This request; [`command`] is the same for the AWS CLI.
    Request(Box<Request>),
    /// What only an operator can do.
    Advice(String),
    /// What only an operator can do, before which this table must not be used.
    AnotherTable(String),
}

impl Mismatch {
    /// That there is no such table.
    #[must_use]
    pub fn missing(table: &'static Table, name: &str) -> Self {
        Self::mended_by(name, "it does not exist".to_owned(), Request::CreateTable(creation(table, name)))
    }

    fn mended_by(table: &str, what: String, request: Request) -> Self {
        Self { table: table.to_owned(), what, remedy: Remedy::Request(Box::new(request)) }
    }

    /// Whether the table is of no use as it is: every request for an item would fail.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        matches!(self.remedy, Remedy::AnotherTable(_))
    }

    fn advised(table: &str, what: String, advice: impl Into<String>) -> Self {
        Self { table: table.to_owned(), what, remedy: Remedy::Advice(advice.into()) }
    }
}

impl fmt::Display for Mismatch {
    /// A sentence for operators, ending with what to do or run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: {}; ", self.table, self.what)?;
        match &self.remedy {
            Remedy::Request(request) => write!(f, "run: {}", command(request)),
            Remedy::Advice(advice) | Remedy::AnotherTable(advice) => f.write_str(advice),
        }
    }
}

/// The command of the AWS CLI that sends a request.
#[must_use]
pub fn command(request: &Request) -> String {
    let operation = json::target(request).rsplit('.').next().unwrap_or_default();
    let mut name = String::new();
    for letter in operation.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    // No name of a table, index or attribute has a quote in it.
    let input = serde_json::to_string(request).unwrap_or_default();
    format!("aws dynamodb {name} --cli-input-json '{input}'")
}

/// What of a table is not as the schema wants it.
#[must_use]
pub fn compare(
    table: &'static Table,
    name: &str,
    found: &TableDescription,
    expiry: &TimeToLiveDescription,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    if !matches!(found.table_status.as_str(), "ACTIVE" | "UPDATING") {
        let what = format!("it is {}", found.table_status);
        mismatches.push(Mismatch::advised(name, what, "start again when it is ACTIVE"));
    }
    mismatches.extend(compare_key(table, name, found));
    for index in table.indexes {
        mismatches.extend(compare_index(index, name, found));
    }
    mismatches.extend(compare_expiry(table, name, expiry));
    mismatches
}

fn compare_key(table: &'static Table, name: &str, found: &TableDescription) -> Option<Mismatch> {
    let wanted = key_schema(table.hash, table.range);
    if is_key(&wanted, &found.key_schema) && has_strings(&wanted, found) {
        return None;
    }
    let what = format!("its key is {} and must be {}, of strings", shown(&found.key_schema), shown(&wanted));
    let variable = format!("DYNAMO_TABLE_{}", table.name.to_ascii_uppercase());
    let advice = format!(
        "a key cannot be changed: name another table in {variable}, start again so that it is made, and copy the \
         items into it"
    );
    Some(Mismatch { table: name.to_owned(), what, remedy: Remedy::AnotherTable(advice) })
}

fn compare_index(index: &Index, name: &str, found: &TableDescription) -> Option<Mismatch> {
    let wanted = key_schema(index.hash, index.range);
    let same_name = |existing: &&IndexDescription| existing.index_name == index.name;
    let Some(existing) = found.global_secondary_indexes.iter().find(same_name) else {
        return Some(missing_index(index, name, found));
    };
    if matches!(existing.index_status.as_str(), "CREATING" | "DELETING") {
        let what = format!("index {} is {}", index.name, existing.index_status);
        return Some(Mismatch::advised(name, what, "wait until it is done, and start again"));
    }
    let projection = &existing.projection.projection_type;
    if is_key(&wanted, &existing.key_schema) && has_strings(&wanted, found) && projection == "ALL" {
        return None;
    }
    let what = format!(
        "index {} has the key {} and the attributes {projection}, and must have the key {}, of strings, and the \
         attributes ALL (once it is removed, start again for the command that adds it anew)",
        index.name,
        shown(&existing.key_schema),
        shown(&wanted),
    );
    let index_name = index.name.to_owned();
    Some(Mismatch::mended_by(name, what, update(name, IndexUpdate::Delete(IndexName { index_name }))))
}

fn missing_index(index: &Index, name: &str, found: &TableDescription) -> Mismatch {
    let what = format!("it has no index {}", index.name);
    let wanted = key_schema(index.hash, index.range);
    if let Some(other) = wanted.iter().find(|element| !is_string_if_defined(&element.attribute_name, found)) {
        let attribute = &other.attribute_name;
        return Mismatch::advised(
            name,
            what,
            format!("remove the index in which {attribute} is no string, and start again"),
        );
    }
    let capacity = found.provisioned_throughput.filter(|capacity| capacity.write_capacity_units > 0);
    Mismatch::mended_by(name, what, update(name, IndexUpdate::Create(global_index(index, capacity))))
}

fn update(name: &str, change: IndexUpdate) -> Request {
    let attribute_definitions = match &change {
        IndexUpdate::Create(index) => {
            index.key_schema.iter().map(|element| string_definition(&element.attribute_name)).collect()
        }
        IndexUpdate::Delete(_) => Vec::new(),
    };
    Request::UpdateTable(UpdateTable {
        table_name: name.to_owned(),
        attribute_definitions,
        global_secondary_index_updates: vec![change],
    })
}

/// What is wrong with a table's TTL, if anything is; a table that is about to be made has none.
pub(super) fn compare_expiry(
    table: &'static Table,
    name: &str,
    found: &TimeToLiveDescription,
) -> Option<Mismatch> {
    let enabled = found.attribute_name.as_deref().filter(|_| is_enabled(found));
    let set = |attribute: &str, enabled| Request::UpdateTimeToLive(expiry(name, attribute, enabled));
    match (table.expires, enabled) {
        (Some(wanted), Some(attribute)) if wanted == attribute => None,
        (None, None) => None,
        (Some(wanted), None) if found.time_to_live_status == "DISABLING" => Some(Mismatch::advised(
            name,
            format!("TTL is being disabled, and must be enabled on {wanted}"),
            "start again when it is disabled",
        )),
        (Some(wanted), None) => {
            let what = format!("TTL is not enabled on {wanted}, so that what has expired stays");
            Some(Mismatch::mended_by(name, what, set(wanted, true)))
        }
        (wanted, Some(attribute)) => {
            let wanted = wanted.map_or("disabled".to_owned(), |wanted| {
                format!("enabled on {wanted} (once it is disabled, start again for the command that does so)")
            });
            let what = format!("TTL is enabled on {attribute}, and must be {wanted}");
            Some(Mismatch::mended_by(name, what, set(attribute, false)))
        }
    }
}

/// Whether items expire by this attribute.
pub(super) fn expires_by(found: &TimeToLiveDescription, attribute: &str) -> bool {
    is_enabled(found) && found.attribute_name.as_deref() == Some(attribute)
}

fn is_enabled(found: &TimeToLiveDescription) -> bool {
    matches!(found.time_to_live_status.as_str(), "ENABLED" | "ENABLING")
}

/// Whether both are the same key; DynamoDB does not promise an order.
fn is_key(wanted: &[KeyElement], found: &[KeyElement]) -> bool {
    wanted.len() == found.len() && wanted.iter().all(|element| found.contains(element))
}

fn has_strings(key: &[KeyElement], found: &TableDescription) -> bool {
    key.iter().all(|element| is_string_if_defined(&element.attribute_name, found))
}

fn is_string_if_defined(attribute: &str, found: &TableDescription) -> bool {
    let definition =
        found.attribute_definitions.iter().find(|definition| definition.attribute_name == attribute);
    definition.is_none_or(|definition| definition.attribute_type == "S")
}

fn shown(key: &[KeyElement]) -> String {
    let names: Vec<&str> = key.iter().map(|element| element.attribute_name.as_str()).collect();
    format!("({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::{SESSIONS, STATUSES, USERS};

    fn key(names: &[&str]) -> Value {
        let kinds = ["HASH", "RANGE"];
        names.iter().zip(kinds).map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind})).collect()
    }

    fn index(name: &str, names: &[&str]) -> Value {
        json!({
            "IndexName": name, "IndexStatus": "ACTIVE", "KeySchema": key(names), "Projection": {"ProjectionType": "ALL"},
        })
    }

    fn definitions(names: &[&str]) -> Value {
        names.iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect()
    }

    /// The older system's table of users with all that Portico adds.
    fn users() -> Value {
        let mut definitions = definitions(&["user_id", "username", "email", "list_shard", "created_at"]);
        definitions.as_array_mut().unwrap().push(json!({"AttributeName": "enable", "AttributeType": "N"}));
        json!({
            "TableStatus": "ACTIVE",
            "KeySchema": key(&["user_id"]),
            "AttributeDefinitions": definitions,
            "GlobalSecondaryIndexes": [
                index("username-index", &["username"]),
                index("email-index", &["email"]),
                index("enable-index", &["enable", "created_at"]),
                index("list_shard-user_id-index", &["list_shard", "user_id"]),
            ],
        })
    }

    fn differences(
        table: &'static Table,
        name: &str,
        found: Value,
        ttl: (&str, Option<&str>),
    ) -> Vec<String> {
        let expiry = TimeToLiveDescription {
            time_to_live_status: ttl.0.into(),
            attribute_name: ttl.1.map(str::to_owned),
        };
        let found = serde_json::from_value(found).unwrap();
        compare(table, name, &found, &expiry).iter().map(Mismatch::to_string).collect()
    }

    fn of_users(found: Value) -> Vec<String> {
        differences(&USERS, "prod-users", found, ("DISABLED", None))
    }

    fn of_sessions(ttl: (&str, Option<&str>)) -> Vec<String> {
        let found = json!({
            "TableStatus": "ACTIVE", "KeySchema": key(&["session_id"]),
            "AttributeDefinitions": definitions(&["session_id", "user_id", "refresh_token"]),
            "GlobalSecondaryIndexes":
                [index("user_id-index", &["user_id"]), index("refresh_token-index", &["refresh_token"])],
        });
        differences(&SESSIONS, "sessions", found, ttl)
    }

    #[test]
    fn more_than_the_schema_wants_is_no_mismatch() {
        assert_eq!(of_users(users()), [""; 0]);
        let mut updating = users();
        updating["TableStatus"] = json!("UPDATING");
        assert_eq!(of_users(updating), [""; 0]);
        assert_eq!(of_sessions(("ENABLED", Some("purge_at"))), [""; 0]);
        assert_eq!(of_sessions(("ENABLING", Some("purge_at"))), [""; 0]);
    }

    #[test]
    fn a_missing_index_comes_with_the_command_that_adds_it() {
        let mut found = users();
        found["GlobalSecondaryIndexes"].as_array_mut().unwrap().truncate(3);
        assert_eq!(
            of_users(found.clone()),
            ["table prod-users: it has no index list_shard-user_id-index; run: aws dynamodb update-table \
              --cli-input-json '{\"TableName\":\"prod-users\",\"AttributeDefinitions\":[\
              {\"AttributeName\":\"list_shard\",\"AttributeType\":\"S\"},\
              {\"AttributeName\":\"user_id\",\"AttributeType\":\"S\"}],\"GlobalSecondaryIndexUpdates\":[{\"Create\":{\
              \"IndexName\":\"list_shard-user_id-index\",\"KeySchema\":[\
              {\"AttributeName\":\"list_shard\",\"KeyType\":\"HASH\"},\
              {\"AttributeName\":\"user_id\",\"KeyType\":\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"ALL\"}}}]}'"]
        );
        found["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 6});
        let [with_capacity] = &of_users(found.clone())[..] else { panic!() };
        assert!(
            with_capacity
                .contains(r#""ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":6}"#),
            "{with_capacity}"
        );
        found["AttributeDefinitions"][3]["AttributeType"] = json!("N");
        let [of_numbers] = &of_users(found)[..] else { panic!() };
        assert!(of_numbers.ends_with("remove the index in which list_shard is no string, and start again"));
    }

    #[test]
    fn an_index_of_another_make_must_be_removed_first() {
        let changes: [fn(&mut Value); 3] = [
            |found| found["GlobalSecondaryIndexes"][1]["Projection"]["ProjectionType"] = json!("KEYS_ONLY"),
            |found| found["GlobalSecondaryIndexes"][1]["KeySchema"] = key(&["email", "user_id"]),
            |found| found["AttributeDefinitions"][2]["AttributeType"] = json!("B"),
        ];
        for change in changes {
            let mut found = users();
            change(&mut found);
            let [different] = &of_users(found)[..] else { panic!() };
            let command = r#"{"TableName":"prod-users","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"email-index"}}]}'"#;
            assert!(different.ends_with(command), "{different}");
        }
        let mut found = users();
        found["GlobalSecondaryIndexes"][1]["IndexStatus"] = json!("CREATING");
        assert_eq!(
            of_users(found),
            ["table prod-users: index email-index is CREATING; wait until it is done, and start again"]
        );
    }

    #[test]
    fn only_a_table_of_another_key_is_unusable() {
        let found: TableDescription = serde_json::from_value(json!({
            "TableStatus": "ACTIVE", "KeySchema": key(&["id"]), "AttributeDefinitions": definitions(&["id"]),
        }))
        .unwrap();
        let mismatches = compare(&USERS, "users", &found, &TimeToLiveDescription::default());
        assert_eq!(mismatches.len(), 1 + USERS.indexes.len(), "its key, and the indexes it lacks");
        let unusable: Vec<_> = mismatches.iter().filter(|mismatch| mismatch.is_unusable()).collect();
        assert_eq!(unusable, [&mismatches[0]]);
        assert!(!Mismatch::missing(&USERS, "users").is_unusable());
    }

    #[test]
    fn another_key_cannot_be_mended() {
        let mut found = users();
        found["KeySchema"] = key(&["id"]);
        let [different] = &of_users(found)[..] else { panic!() };
        assert!(
            different.starts_with("table prod-users: its key is (id) and must be (user_id)"),
            "{different}"
        );
        assert!(different.contains("DYNAMO_TABLE_USERS"), "{different}");
        let mut found = users();
        found["AttributeDefinitions"][0]["AttributeType"] = json!("N");
        assert_eq!(of_users(found).len(), 2, "the table and an index have that key");
    }

    #[test]
    fn expiry_is_to_be_by_the_schemas_attribute() {
        let [disabled] = &of_sessions(("DISABLED", None))[..] else { panic!() };
        assert_eq!(
            disabled,
            "table sessions: TTL is not enabled on purge_at, so that what has expired stays; run: aws dynamodb \
             update-time-to-live --cli-input-json '{\"TableName\":\"sessions\",\"TimeToLiveSpecification\":\
             {\"AttributeName\":\"purge_at\",\"Enabled\":true}}'"
        );
        let [other] = &of_sessions(("ENABLED", Some("expires_at")))[..] else { panic!() };
        assert!(other.ends_with(r#"{"AttributeName":"expires_at","Enabled":false}}'"#), "{other}");
        let [disabling] = &of_sessions(("DISABLING", Some("purge_at")))[..] else { panic!() };
        assert!(disabling.ends_with("start again when it is disabled"), "{disabling}");
        let statuses = json!({
            "TableStatus": "ACTIVE", "KeySchema": key(&["status_id"]),
            "AttributeDefinitions": definitions(&["status_id"]),
        });
        let [vanishing] = &differences(&STATUSES, "s", statuses, ("ENABLED", Some("gone_at")))[..] else {
            panic!()
        };
        assert!(vanishing.contains("TTL is enabled on gone_at, and must be disabled"), "{vanishing}");
    }

    #[test]
    fn what_is_not_there_or_not_ready_is_told() {
        let missing = Mismatch::missing(&STATUSES, "prod-statuses").to_string();
        assert!(
            missing.starts_with("table prod-statuses: it does not exist; run: aws dynamodb create-table ")
        );
        let mut deleting = users();
        deleting["TableStatus"] = json!("DELETING");
        assert_eq!(of_users(deleting), ["table prod-users: it is DELETING; start again when it is ACTIVE"]);
    }
}
