//! What queries of every [`Store`](super::store::Store) mean: what one asks for, where an item stands in an index, which
//! items have expired, and which version a write gives.
//!
//! The backends that keep their own indexes agree through it on the order of equal range values and on what a
//! [`Position`] holds.

use serde_json::Value;

use crate::{
    ports::{
        entropy::Entropy,
        store::{Item, Key, Order, Position, Query, RangeBound, StoreError, StoreErrorKind, Version},
    },
    schema::{Index, Table},
    time::Timestamp,
};

/// Where an item stands among those of one index query, or of a whole table. Its ordering is theirs: by
/// range attribute, then by key, bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The value of the index's range attribute, if the index has one.
    pub range: Option<String>,
    /// The hash part of the item's key.
    pub key_hash: String,
    /// The range part of the item's key, if the table has one.
    pub key_range: Option<String>,
}

impl Place {
    /// Where an item stands in an index (`None`: in the whole table).
    #[must_use]
    pub fn of(table: &'static Table, index: Option<&Index>, item: &Item) -> Option<Self> {
        let range = match index.and_then(|index| index.range) {
            Some(name) => Some(indexed(item, name)?.to_owned()),
            None => None,
        };
        let key = Key::of(table, item)?;
        Some(Self { range, key_hash: key.hash, key_range: key.range })
    }
}

/// The value under which an attribute is indexed. Empty strings are not: DynamoDB cannot hold them there.
#[must_use]
pub fn indexed<'item>(item: &'item Item, attribute: &str) -> Option<&'item str> {
    item.get(attribute).and_then(Value::as_str).filter(|value| !value.is_empty())
}

/// Whether the item no longer exists at `now`, which is so from the second that its expiry names on.
#[must_use]
pub fn is_expired(table: &Table, item: &Item, now: Timestamp) -> bool {
    let Some(Value::Number(expires)) = table.expires.and_then(|attribute| item.get(attribute)) else {
        return false;
    };
    match expires.as_i64() {
        Some(expires) => expires <= now.as_seconds(),
        // Fractions and numbers beyond i64; seconds since 1970 are exact in an f64.
        None => expires.as_f64().is_some_and(|expires| expires <= now.as_seconds() as f64),
    }
}

/// A query, checked against the schema and with its position read.
#[derive(Debug)]
pub struct Plan<'query> {
    /// The table.
    pub table: &'static Table,
    /// The index and the value of its hash attribute; `None` reads the whole table.
    pub index: Option<(&'static Index, &'query str)>,
    /// Bounds on the range attribute; [`RangeBound::All`] if there is none.
    pub bound: &'query RangeBound,
    /// The direction, of ties too.
    pub order: Order,
    /// At most so many items; at least 1.
    pub limit: usize,
    /// The place after which to go on.
    pub after: Option<Place>,
}

impl<'query> Plan<'query> {
    /// Checks a query against the schema.
    ///
    /// # Errors
    /// `Unexpected` for an index that the schema does not have, for the whole of a table that is not small,
    /// for a bound where there is no range attribute, and for a position of another query.
    pub fn of(query: &'query Query) -> Result<Self, StoreError> {
        let table = query.table;
        let index = match &query.index {
            Some((name, hash)) => match table.index(name) {
                Some(index) => Some((index, hash.as_str())),
                None => return unexpected(format!("table {} has no index {name}", table.name)),
            },
            None if table.small => None,
            None => return unexpected(format!("table {} is not read whole", table.name)),
        };
        let has_range = index.is_some_and(|(index, _)| index.range.is_some());
        if !has_range && query.range != RangeBound::All {
            return unexpected(format!("table {}: a bound without a range attribute", table.name));
        }
        let mut plan = Self {
            table,
            index,
            bound: &query.range,
            order: query.order,
            limit: query.limit.clamp(1, 1000),
            after: None,
        };
        if let Some(position) = &query.after {
            plan.after = Some(plan.place_of(position)?);
        }
        Ok(plan)
    }

    /// Whether an item is one that the query asks for.
    #[must_use]
    pub fn selects(&self, item: &Item) -> bool {
        let Some((index, hash)) = self.index else { return true };
        if indexed(item, index.hash) != Some(hash) {
            return false;
        }
        let Some(range) = index.range else { return true };
        match (indexed(item, range), self.bound) {
            (None, _) => false,
            (Some(_), RangeBound::All) => true,
            (Some(value), RangeBound::Below(bound)) => value < bound.as_str(),
            (Some(value), RangeBound::AtMost(bound)) => value <= bound.as_str(),
        }
    }

    /// The position behind an item that this query returned: its key and index attributes.
    #[must_use]
    pub fn position_of(&self, item: &Item) -> Position {
        let mut position = Position::new();
        for name in self.attributes() {
            if let Some(value) = item.get(name) {
                position.insert(name.to_owned(), value.clone());
            }
        }
        position
    }

    fn place_of(&self, position: &Position) -> Result<Place, StoreError> {
        let complete = self.attributes().all(|name| indexed(position, name).is_some());
        let index = self.index.map(|(index, _)| index);
        match Place::of(self.table, index, position) {
            Some(place) if complete && self.same_hash(position) => Ok(place),
            _ => unexpected(format!("table {}: a position of another query", self.table.name)),
        }
    }

    fn same_hash(&self, position: &Position) -> bool {
        self.index.is_none_or(|(index, hash)| indexed(position, index.hash) == Some(hash))
    }

    fn attributes(&self) -> impl Iterator<Item = &'static str> {
        let index = self.index.map(|(index, _)| index);
        let table = self.table;
        [Some(table.hash), table.range, index.map(|index| index.hash), index.and_then(|index| index.range)]
            .into_iter()
            .flatten()
    }
}

/// Makes a version for each of `count` items: random and not 0, so that none repeats, not even after the
/// item was deleted; of 53 bits, so that every JSON and JavaScript number holds it.
///
/// # Errors
/// `Unexpected` when there is no randomness.
pub fn new_versions(entropy: &dyn Entropy, count: usize) -> Result<Vec<Version>, StoreError> {
    let mut bytes = vec![0; count * 8];
    entropy.fill(&mut bytes).map_err(|error| {
        StoreError::new(StoreErrorKind::Unexpected, "no version for an item").caused_by(error)
    })?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers.iter().map(|number| Version((u64::from_be_bytes(*number) >> 11).max(1))).collect())
}

fn unexpected<T>(detail: String) -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unexpected, detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{NOTIFICATIONS, SESSIONS, STATUSES, USERS};

    fn item(value: Value) -> Item {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_position_holds_the_key_and_index_attributes_only() {
        let item = item(json!({"notification_id": "n", "user_id": "u", "created_at": "c", "title": "t"}));
        let query = Query::index(&NOTIFICATIONS, "user_id-created_at-index", "u");
        let position = Plan::of(&query).unwrap().position_of(&item);
        assert_eq!(
            Value::Object(position.clone()),
            json!({"notification_id": "n", "user_id": "u", "created_at": "c"})
        );
        let plan = query.after(Some(position));
        let after = Plan::of(&plan).unwrap().after.unwrap();
        assert_eq!(
            Some(after),
            Place::of(&NOTIFICATIONS, NOTIFICATIONS.index("user_id-created_at-index"), &item)
        );
    }

    #[test]
    fn what_the_schema_does_not_offer_is_refused() {
        let foreign = Some(item(json!({"status_id": "s"})));
        let bounded = RangeBound::Below("x".into());
        for query in [
            Query::index(&USERS, "enable-index", "1"),
            Query::whole(&USERS),
            Query::whole(&STATUSES).range(bounded.clone()),
            Query::index(&USERS, "email-index", "e").range(bounded),
            Query::index(&USERS, "email-index", "e").after(foreign),
            Query::index(&USERS, "email-index", "e").after(Some(item(json!({"user_id": "u", "email": "f"})))),
        ] {
            assert_eq!(Plan::of(&query).unwrap_err().kind, StoreErrorKind::Unexpected, "{query:?}");
        }
    }

    #[test]
    fn an_item_expires_at_the_second_it_names() {
        let now = Timestamp::from_millis(10_999);
        for (expires, expired) in [
            (json!(10), true),
            (json!(11), false),
            (json!(10.5), false),
            (json!(9.5), true),
            (json!(u64::MAX), false),
            (json!(i64::MIN), true),
            (json!("1"), false),
            (json!(null), false),
        ] {
            assert_eq!(is_expired(&SESSIONS, &item(json!({"purge_at": expires})), now), expired, "{expires}");
        }
        assert!(!is_expired(&USERS, &item(json!({"purge_at": 1})), now));
    }
}
