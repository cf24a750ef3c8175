//! What DynamoDB does and dynoxide does not: it refuses to set the time to live to what it is already, and it
//! keeps continuous backups (here only as a setting, in memory).

use crate::refusal::AwsError;
use dynoxide::Database;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

type Addition = Result<Value, AwsError>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    table_name: String,
    time_to_live_specification: Specification,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Specification {
    enabled: bool,
}

/// Refuses a request that changes nothing; `None` lets it pass, also where it is wrong in other ways.
pub(crate) fn refuse_same_time_to_live(database: &Database, body: &[u8]) -> Option<Addition> {
    let asked: TimeToLive = serde_json::from_slice(body).ok()?;
    let request = serde_json::from_value(json!({ "TableName": asked.table_name })).ok()?;
    let described = serde_json::to_value(database.describe_time_to_live(request).ok()?).ok()?;
    let enabled = described["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED";
    let state = if enabled { "enabled" } else { "disabled" };
    let error = AwsError::new(400, "ValidationException", format!("TimeToLive is already {state}"));
    (asked.time_to_live_specification.enabled == enabled).then_some(Err(error))
}

/// The tables that say they can be restored to any point in time.
#[derive(Debug, Default)]
pub(crate) struct Backups(Mutex<BTreeSet<String>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Table {
    table_name: String,
    point_in_time_recovery_specification: Option<Recovery>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recovery {
    point_in_time_recovery_enabled: bool,
}

impl Backups {
    pub(crate) fn describe(&self, database: &Database, body: &[u8]) -> Addition {
        let table = existing(database, body)?;
        Ok(self.description(&table.table_name))
    }

    pub(crate) fn update(&self, database: &Database, body: &[u8]) -> Addition {
        let table = existing(database, body)?;
        let recovery = table.point_in_time_recovery_specification;
        let recovery = recovery.ok_or_else(|| invalid("PointInTimeRecoverySpecification is required"))?;
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recovery.point_in_time_recovery_enabled {
            tables.insert(table.table_name.clone());
        } else {
            tables.remove(&table.table_name);
        }
        drop(tables);
        Ok(self.description(&table.table_name))
    }

    fn description(&self, table: &str) -> Value {
        let enabled = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(table);
        let status = if enabled { "ENABLED" } else { "DISABLED" };
        json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status },
        } })
    }
}

fn existing(database: &Database, body: &[u8]) -> Result<Table, AwsError> {
    let table: Table = serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))?;
    match database.get_table_metadata(&table.table_name) {
        Ok(Some(_)) => Ok(table),
        _ => Err(AwsError::new(
            400,
            "TableNotFoundException",
            format!("Table not found: {}", table.table_name),
        )),
    }
}

fn invalid(message: &str) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}
