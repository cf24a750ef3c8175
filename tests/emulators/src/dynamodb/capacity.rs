//! What requests cost: DynamoDB is asked for it even where the client did not ask, so that every call's is known.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The operations that can tell.
const TELLING: [&str; 8] = [
    "GetItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactGetItems",
    "TransactWriteItems",
];

const NAME: &str = "ReturnConsumedCapacity";

/// The request with the question in it; as it was if it holds one, or cannot.
pub(crate) fn asked(operation: &str, body: Bytes) -> Bytes {
    if !TELLING.contains(&operation) {
        return body;
    }
    let Ok(mut members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&body) else {
        return body;
    };
    if members.contains_key(NAME) {
        return body;
    }
    let Ok(total) = RawValue::from_string("\"TOTAL\"".to_owned()) else { return body };
    members.insert(NAME.to_owned(), total);
    serde_json::to_vec(&members).map_or(body, Bytes::from)
}

/// The units that an answer tells, of all tables together.
pub(crate) fn consumed(body: &[u8]) -> Option<f64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        consumed_capacity: Consumed,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Consumed {
        One(Units),
        Many(Vec<Units>),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Units {
        capacity_units: f64,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    Some(match answer.consumed_capacity {
        Consumed::One(units) => units.capacity_units,
        Consumed::Many(tables) => tables.iter().map(|units| units.capacity_units).sum(),
    })
}
