//! Items as DynamoDB holds them: JSON members as attributes of their types, and two attributes of our own.
//!
//! What DynamoDB would refuse or change — an index attribute that is no string, `1.0`, a name without
//! characters, an attribute with one of our own names, an item that weighs more in its types than as text —
//! stands as JSON text in [`REST`]. Thus every item within
//! [`MAX_ITEM_BYTES`](crate::ports::store::MAX_ITEM_BYTES) is stored, and comes back as it was.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::{
    attribute::{self, AttributeValue, Attributes, is_name},
    request::string_attribute,
    size::{MAX_ITEM_SIZE, of_attributes},
};
use crate::{
    ports::store::{Item, Key, StoreError, StoreErrorKind, Version, Versioned},
    ports::store_index::indexed,
    schema::Table,
};

/// The attribute that holds the version. Rows of an older system lack it. (`version` itself is an attribute
/// of app versions.)
pub const VERSION: &str = "_version";

/// The attribute that holds, as the text of a JSON object, what the item's other attributes cannot.
pub const REST: &str = "_json";

/// The longest value of the first part of a key, of a table or an index, in bytes.
const MAX_HASH_BYTES: usize = 2048;

/// The longest value of the second part of a key, of a table or an index, in bytes.
const MAX_RANGE_BYTES: usize = 1024;

/// The attributes of a key.
#[must_use]
pub fn key_attributes(key: &Key) -> Attributes {
    let mut attributes = Attributes::from([string_attribute(key.table.hash, &key.hash)]);
    if let (Some(name), Some(value)) = (key.table.range, &key.range) {
        attributes.extend([string_attribute(name, value)]);
    }
    attributes
}

/// Whether DynamoDB can hold an item of this key at all: the parts that the table asks for, neither empty nor
/// too long.
#[must_use]
pub fn can_exist(key: &Key) -> bool {
    key.range.is_some() == key.table.range.is_some()
        && is_key_part(&key.hash, MAX_HASH_BYTES)
        && key.range.as_ref().is_none_or(|range| is_key_part(range, MAX_RANGE_BYTES))
}

/// Whether an index can hold items under this value of its hash attribute.
#[must_use]
pub fn can_be_indexed(hash: &str) -> bool {
    is_key_part(hash, MAX_HASH_BYTES)
}

fn is_key_part(value: &str, longest: usize) -> bool {
    (1..=longest).contains(&value.len())
}

/// The attributes of an item and its version.
///
/// # Errors
/// `TooLarge` for an item above DynamoDB's limits, be it of the item or of a key or index attribute.
pub fn encode(table: &'static Table, item: &Item, version: Version) -> Result<Attributes, StoreError> {
    check_keys(table, item)?;
    let typed = assemble(table, item, version, |_, value| AttributeValue::from_json(value))?;
    if of_attributes(&typed) <= MAX_ITEM_SIZE {
        return Ok(typed);
    }
    let text = assemble(table, item, version, |name, value| {
        AttributeValue::from_json(value).filter(|_| is_key(table, name) || table.expires == Some(name))
    })?;
    if of_attributes(&text) <= MAX_ITEM_SIZE {
        return Ok(text);
    }
    Err(StoreError::new(StoreErrorKind::TooLarge, format!("an item of table {} above 400 KB", table.name)))
}

fn check_keys(table: &'static Table, item: &Item) -> Result<(), StoreError> {
    for (name, longest) in key_limits(table) {
        if indexed(item, name).is_some_and(|value| value.len() > longest) {
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("attribute {name} of table {} is a key of at most {longest} bytes", table.name),
            ));
        }
    }
    Ok(())
}

/// The attributes that are part of a key, of the table or an index, each with the bytes that it may have
/// there.
fn key_limits(table: &'static Table) -> impl Iterator<Item = (&'static str, usize)> {
    let hashes = table.indexes.iter().map(|index| index.hash).chain([table.hash]);
    let ranges = table.indexes.iter().filter_map(|index| index.range).chain(table.range);
    hashes.map(|name| (name, MAX_HASH_BYTES)).chain(ranges.map(|name| (name, MAX_RANGE_BYTES)))
}

fn is_key(table: &'static Table, name: &str) -> bool {
    key_limits(table).any(|(key, _)| key == name)
}

/// The attributes of an item; where `value_of` gives none, or DynamoDB takes none, as text.
fn assemble(
    table: &'static Table,
    item: &Item,
    Version(version): Version,
    value_of: impl Fn(&str, &Value) -> Option<AttributeValue>,
) -> Result<Attributes, StoreError> {
    let (mut attributes, mut rest) = (Attributes::new(), BTreeMap::new());
    for (name, value) in item {
        let ours = name == VERSION || name == REST || !is_name(name);
        let of_other_type = is_key(table, name) && indexed(item, name).is_none();
        match value_of(name, value).filter(|_| !ours && !of_other_type) {
            Some(value) => {
                attributes.insert(name.clone(), value);
            }
            None => {
                rest.insert(name, value);
                // Conditions and TTL read the expiry; what is in `REST` wins when the item is read.
                if let (Some(expires), Value::Number(number)) = (table.expires.filter(|e| e == name), value) {
                    attributes.insert(expires.to_owned(), whole_second(number));
                }
            }
        }
    }
    if !rest.is_empty() {
        let text = serde_json::to_string(&rest).map_err(|error| {
            StoreError::new(StoreErrorKind::Unexpected, "an item has no JSON text").caused_by(error)
        })?;
        attributes.insert(REST.to_owned(), AttributeValue::S(text));
    }
    attributes.insert(VERSION.to_owned(), AttributeValue::number(version));
    Ok(attributes)
}

/// The first whole second that is not before this one: to a clock that counts seconds they are the same.
fn whole_second(expires: &Number) -> AttributeValue {
    // Floats saturate when cast, and no clock will ever show either end.
    AttributeValue::number(expires.as_f64().unwrap_or_default().ceil() as i64)
}

/// The item and version of attributes.
///
/// # Errors
/// `Corrupt` when our own attributes are not as [`encode`] makes them, or a number is none.
pub fn decode(table: &'static Table, mut attributes: Attributes) -> Result<Versioned, StoreError> {
    let corrupt = |what: &str| {
        StoreError::new(StoreErrorKind::Corrupt, format!("an item of table {}: {what}", table.name))
    };
    let version = match attributes.remove(VERSION) {
        None => Version(0),
        Some(AttributeValue::N(text)) => {
            Version(text.parse().map_err(|error| corrupt("its version is no integer").caused_by(error))?)
        }
        Some(_) => return Err(corrupt("its version is no number")),
    };
    let rest = match attributes.remove(REST) {
        None => Item::new(),
        Some(AttributeValue::S(text)) => {
            serde_json::from_str(&text).map_err(|error| corrupt("no JSON in `_json`").caused_by(error))?
        }
        Some(_) => return Err(corrupt("no text in `_json`")),
    };
    let mut item =
        attribute::object(attributes).map_err(|error| corrupt("it cannot be read").caused_by(error))?;
    item.extend(rest);
    Ok(Versioned { item, version })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        ports::store::MAX_ITEM_BYTES,
        ports::store_index::is_expired,
        schema::{APP_VERSIONS, NOTIFICATIONS, SESSIONS, STATUSES, USER_VERIFICATIONS, USERS},
        time::Timestamp,
    };

    const VERSION_7: Version = Version(7);

    fn item(value: Value) -> Item {
        value.as_object().cloned().unwrap()
    }

    /// What is stored of an item, after making sure that it comes back.
    fn stored(table: &'static Table, value: Value) -> Value {
        let item = item(value);
        let attributes = encode(table, &item, VERSION_7).unwrap();
        let wire = serde_json::to_value(&attributes).unwrap();
        assert_eq!(decode(table, attributes).unwrap(), Versioned { item, version: VERSION_7 });
        wire
    }

    fn rest(wire: &Value) -> Value {
        serde_json::from_str(wire[REST]["S"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn an_item_is_its_attributes_and_a_version() {
        assert_eq!(
            stored(&USERS, json!({"user_id": "u", "username": "ann", "enable": 1, "note": ""})),
            json!({
                "user_id": {"S": "u"}, "username": {"S": "ann"}, "enable": {"N": "1"}, "note": {"S": ""},
                "_version": {"N": "7"},
            })
        );
    }

    #[test]
    fn an_older_row_has_version_0_and_keeps_an_attribute_of_that_name() {
        let row = json!({"version_id": {"S": "v"}, "version": {"N": "1.1"}, "tags": {"SS": ["a"]}});
        let read = decode(&APP_VERSIONS, serde_json::from_value(row).unwrap()).unwrap();
        assert_eq!(read.version, Version(0));
        assert_eq!(Value::Object(read.item), json!({"version_id": "v", "version": 1.1, "tags": ["a"]}));
        let wire = stored(&APP_VERSIONS, json!({"version_id": "v", "version": "1.2.3"}));
        assert_eq!(wire["version"], json!({"S": "1.2.3"}));
    }

    #[test]
    fn an_index_attribute_of_another_type_is_no_attribute_and_comes_back() {
        for other in [json!(null), json!(1), json!([]), json!({"a": 1}), json!(true), json!("")] {
            let wire = stored(&USERS, json!({"user_id": "u", "email": other, "n": 1}));
            assert_eq!(wire.get("email"), None, "{other}");
            assert_eq!(rest(&wire), json!({"email": other}));
        }
        let wire = stored(&NOTIFICATIONS, json!({"notification_id": "n", "user_id": "u", "created_at": 5}));
        assert_eq!((wire.get("created_at"), &wire["user_id"]), (None, &json!({"S": "u"})));
    }

    #[test]
    fn attributes_that_dynamodb_would_change_or_that_have_our_names_come_back() {
        let wire = stored(
            &STATUSES,
            json!({
                "status_id": "s", "whole": 1.0, "huge": [1e300], "": "no name", "in": {"": 1},
                "_version": "mine", "_json": {"a": "b"}, "plain": 1,
            }),
        );
        assert_eq!(
            rest(&wire),
            json!({"whole": 1.0, "huge": [1e300], "": "no name", "in": {"": 1}, "_version": "mine", "_json": {"a": "b"}})
        );
        assert_eq!((&wire["plain"], &wire["_version"]), (&json!({"N": "1"}), &json!({"N": "7"})));
    }

    #[test]
    fn an_expiry_that_is_kept_as_text_is_a_number_for_conditions_too() {
        let now = Timestamp::from_millis(1_771_581_600_000);
        let second = now.as_seconds() as f64;
        for expires in [second - 1.0, second, second + 1.0, 1e300, -1e300, 1e-200, f64::MIN_POSITIVE] {
            let wire = stored(&SESSIONS, json!({"session_id": "s", "purge_at": expires}));
            assert_eq!(rest(&wire), json!({"purge_at": expires}));
            let number: i64 = wire["purge_at"]["N"].as_str().unwrap().parse().unwrap();
            let whole = is_expired(&SESSIONS, &item(json!({"purge_at": expires})), now);
            assert_eq!(number <= now.as_seconds(), whole, "{expires}");
        }
        let wire = stored(&SESSIONS, json!({"session_id": "s", "purge_at": second + 0.5}));
        assert_eq!((wire["purge_at"]["N"].as_str(), wire.get(REST)), (Some("1771581600.5"), None));
    }

    #[test]
    fn every_item_that_the_port_admits_is_stored() {
        let of_length = |unit: &str| {
            let empty = json!({"status_id": "s", "list": []}).to_string().len();
            let count = (MAX_ITEM_BYTES - empty - 1) / unit.len();
            let text = format!("{{\"status_id\":\"s\",\"list\":[{}]}}", [unit].repeat(count).concat());
            item(serde_json::from_str(&text.replace(",]", "]")).unwrap())
        };
        for unit in ["1,", "[],", "{},", "\"\",", "null,", "-1,", "[{\"a\":1}],", "0.5,"] {
            let item = of_length(unit);
            let attributes = encode(&STATUSES, &item, Version(u64::MAX)).unwrap();
            assert!(of_attributes(&attributes) <= MAX_ITEM_SIZE, "{unit}");
            assert_eq!(decode(&STATUSES, attributes).unwrap().item, item, "{unit}");
        }
        let many: Item = (0..30_000).map(|n| (format!("a{n}"), json!(1))).collect();
        let wire = encode(&STATUSES, &many, VERSION_7).unwrap();
        assert_eq!(decode(&STATUSES, wire).unwrap().item, many);
    }

    #[test]
    fn an_item_kept_as_text_keeps_its_keys_and_expiry_as_attributes() {
        let list = vec![json!(1); 190_000];
        let wire = stored(
            &NOTIFICATIONS,
            json!({"notification_id": "n", "user_id": "u", "purge_at": 9, "list": list, "title": "t"}),
        );
        let names: Vec<&String> = wire.as_object().unwrap().keys().collect();
        assert_eq!(names, ["_json", "_version", "notification_id", "purge_at", "user_id"]);
    }

    #[test]
    fn what_exceeds_dynamodbs_limits_is_too_large() {
        let long = |length: usize| "x".repeat(length);
        for (table, value) in [
            (&STATUSES, json!({"status_id": "s", "text": long(MAX_ITEM_SIZE)})),
            (&STATUSES, json!({"status_id": long(2049)})),
            (&USERS, json!({"user_id": "u", "email": long(2049)})),
            (&USERS, json!({"user_id": long(1025)})),
            (&USER_VERIFICATIONS, json!({"user_id": "u", "type": long(1025)})),
        ] {
            let error = encode(table, &item(value), VERSION_7).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::TooLarge, "{error}");
        }
        encode(&USERS, &item(json!({"user_id": long(1024), "email": long(2048)})), VERSION_7).unwrap();
    }

    #[test]
    fn keys_that_no_item_can_have_are_told() {
        assert!(can_exist(&Key::new(&USERS, "u")));
        assert!(can_exist(&Key::with_range(&USER_VERIFICATIONS, "x".repeat(2048), "y".repeat(1024))));
        for key in [
            Key::new(&USERS, ""),
            Key::new(&USERS, "x".repeat(2049)),
            Key::new(&USER_VERIFICATIONS, "u"),
            Key::with_range(&USERS, "u", "r"),
            Key::with_range(&USER_VERIFICATIONS, "u", ""),
            Key::with_range(&USER_VERIFICATIONS, "u", "y".repeat(1025)),
        ] {
            assert!(!can_exist(&key), "{key:?}");
        }
    }

    #[test]
    fn attributes_of_ours_that_are_not_as_we_make_them_are_corrupt() {
        for row in [
            json!({"_version": {"S": "1"}}),
            json!({"_version": {"N": "-1"}}),
            json!({"_version": {"N": "1.5"}}),
            json!({"_json": {"N": "1"}}),
            json!({"_json": {"S": "[]"}}),
            json!({"n": {"N": "many"}}),
        ] {
            let error = decode(&STATUSES, serde_json::from_value(row.clone()).unwrap()).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{row}");
        }
    }
}
