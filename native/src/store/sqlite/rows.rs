//! What a row holds, and how it is known to be what was written.
//!
//! SQLite notices damage to its own structure, not to what it keeps. So each row has a checksum of its table, its version
//! and its item's text, in which the key is: every read compares it, and a flipped bit is an error, never an answer.

use std::fmt;

use portico_core::{
    ports::store::{Item, Key, StoreError, StoreErrorKind, Version, Versioned},
    schema::Table,
};
use rusqlite::Row;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::error::store_error;

/// The columns that [`decode`] reads.
pub(super) const COLUMNS: &str = "item, version, checksum, rowid";

/// The same, in a database from before there were checksums.
pub(super) const UNCHECKED_COLUMNS: &str = "item, version, NULL, rowid";

/// The checksum of a row: a CRC-32, which no burst of up to 32 flipped bits passes.
pub(super) fn checksum(table: &Table, version: i64, text: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(table.name.as_bytes());
    hasher.update(&version.to_le_bytes());
    hasher.update(text);
    hasher.finalize().into()
}

/// Reads an item and its version from a row of [`COLUMNS`].
///
/// # Errors
/// `Corrupt` for what was not written so.
pub(super) fn decode(table: &Table, row: &Row<'_>) -> Result<Versioned, StoreError> {
    let (text, version) = checked(table, row)?;
    let item: Item = serde_json::from_str(text).map_err(|error| not_an_item(table, row, error))?;
    Ok(Versioned { item, version })
}

/// Reads the text of an item and its version from a row of [`COLUMNS`], and of the attributes only those that tell whose
/// it is and when it expires.
///
/// # Errors
/// As [`decode`].
pub(super) fn outline<'row>(
    table: &Table,
    row: &'row Row<'_>,
) -> Result<(&'row str, Version, Item), StoreError> {
    let (text, version) = checked(table, row)?;
    let wanted = [Some(table.hash), table.range, table.expires];
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outline =
        deserializer.deserialize_map(Outline(wanted)).and_then(|item| deserializer.end().map(|()| item));
    Ok((text, version, outline.map_err(|error| not_an_item(table, row, error))?))
}

/// The text of a row of [`COLUMNS`] and its version, if they are what was written.
fn checked<'row>(table: &Table, row: &'row Row<'_>) -> Result<(&'row str, Version), StoreError> {
    let version: i64 = row.get(1).map_err(store_error)?;
    let expected: Option<i64> = row.get(2).map_err(store_error)?;
    let text = row.get_ref(0).map_err(store_error)?;
    let text =
        text.as_str().map_err(|error| damaged(table, row, "has an item that is no text").caused_by(error))?;
    if expected.is_some_and(|expected| expected != checksum(table, version, text.as_bytes())) {
        return Err(damaged(table, row, "is not what was written"));
    }
    Ok((text, Version(version.cast_unsigned())))
}

fn damaged(table: &Table, row: &Row<'_>, what: &str) -> StoreError {
    let place = row.get::<_, i64>(3).unwrap_or_default();
    corrupt(table, &format!("row {place} {what}"))
}

fn not_an_item(table: &Table, row: &Row<'_>, error: serde_json::Error) -> StoreError {
    damaged(table, row, "has an item that is no JSON object").caused_by(error)
}

/// Reads the attributes of these names, and passes over the others.
struct Outline<'names>([Option<&'names str>; 3]);

impl<'de> Visitor<'de> for Outline<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Item, A::Error> {
        let mut item = Item::new();
        while let Some(name) = members.next_key_seed(Name(self.0))? {
            match name {
                Some(name) => {
                    item.insert(name.to_owned(), members.next_value()?);
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(item)
    }
}

/// Reads a name; `None` if it is not one of these.
struct Name<'names>([Option<&'names str>; 3]);

impl<'de, 'names> DeserializeSeed<'de> for Name<'names> {
    type Value = Option<&'names str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'names> Visitor<'_> for Name<'names> {
    type Value = Option<&'names str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.into_iter().flatten().find(|wanted| *wanted == name))
    }
}

/// Refuses the item of another key: an index that leads to it is damaged.
///
/// # Errors
/// `Corrupt`.
pub(super) fn check_key(key: &Key, item: &Item) -> Result<(), StoreError> {
    let holds = |name: &str, value: &str| item.get(name).and_then(Value::as_str) == Some(value);
    let range = match (key.table.range, &key.range) {
        (Some(name), Some(value)) => holds(name, value),
        _ => true,
    };
    if range && holds(key.table.hash, &key.hash) {
        Ok(())
    } else {
        Err(corrupt(key.table, "a key leads to another item"))
    }
}

/// A damaged table.
pub(super) fn corrupt(table: &Table, what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("table {}: {what}", table.name))
}

/// Tells operators of damage, each time that it is met: it does not pass by itself.
pub(super) fn note_damage(table: &Table, error: &StoreError) {
    if error.kind == StoreErrorKind::Corrupt {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::error!(
            table = table.name,
            detail = error.detail,
            source,
            "the database is damaged: run `portico doctor`, keep the file, and restore a backup"
        );
    }
}
