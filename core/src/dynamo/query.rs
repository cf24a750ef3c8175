//! Pages of an index, or of a small table, as DynamoDB's `Query` and `Scan`.
//!
//! A position is what DynamoDB calls `LastEvaluatedKey`, with its values, all strings. One item more is asked for
//! than is wanted: DynamoDB tells of a last item only that it was the last it was asked for. Expired items are
//! left out of what was read, so that a page may be short.

use serde_json::Value;

use super::{
    attribute::{AttributeValue, Attributes},
    item::{self, can_be_indexed},
    names::TableNames,
    request::{self, Request, named},
};
use crate::{
    ports::store::{Order, Page, Position, RangeBound, StoreError, StoreErrorKind},
    ports::store_index::{Plan, is_expired},
    schema::Table,
    time::Timestamp,
};

/// The request for a page; `None` when there can be nothing in it.
#[must_use]
pub fn request(plan: &Plan<'_>, after: Option<&Position>, names: &TableNames) -> Option<Request> {
    let table_name = names.of(plan.table).to_owned();
    let limit = i32::try_from(plan.limit + 1).unwrap_or(i32::MAX);
    let exclusive_start_key = after.map(start_key);
    let Some((index, hash)) = plan.index else {
        let consistent_read = true;
        return Some(Request::Scan(request::Scan {
            table_name,
            consistent_read,
            limit,
            exclusive_start_key,
        }));
    };
    let (comparison, bound) = match plan.bound {
        RangeBound::All => ("", None),
        RangeBound::Below(bound) => (" AND #range < :range", Some(bound)),
        RangeBound::AtMost(bound) => (" AND #range <= :range", Some(bound)),
    };
    // DynamoDB refuses such values, for nothing is indexed under them; nor is anything below the empty one.
    if !can_be_indexed(hash) || bound.is_some_and(String::is_empty) {
        return None;
    }
    let mut query = request::Query {
        table_name,
        index_name: index.name.to_owned(),
        key_condition_expression: format!("#hash = :hash{comparison}"),
        expression_attribute_names: named([("#hash", index.hash.to_owned())]),
        expression_attribute_values: named([(":hash", AttributeValue::string(hash))]),
        scan_index_forward: plan.order == Order::Ascending,
        limit,
        exclusive_start_key,
    };
    if let (Some(range), Some(bound)) = (index.range, bound) {
        query.expression_attribute_names.extend(named([("#range", range.to_owned())]));
        query.expression_attribute_values.extend(named([(":range", AttributeValue::string(bound))]));
    }
    Some(Request::Query(query))
}

fn start_key(position: &Position) -> Attributes {
    let strings = position.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    strings.map(|(name, value)| request::string_attribute(name, value)).collect()
}

/// The page of an answer.
///
/// # Errors
/// `Corrupt` for an item that cannot be read; `Unexpected` for an index whose keys are not strings.
pub fn page(
    plan: &Plan<'_>,
    mut items: Vec<Attributes>,
    last_evaluated_key: Option<Attributes>,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let table = plan.table;
    let more = items.len() > plan.limit;
    items.truncate(plan.limit);
    let last = if more { items.last().map(|item| key_in(plan, item)) } else { last_evaluated_key };
    let mut page = Page { items: Vec::with_capacity(items.len()), next: None };
    for attributes in items {
        let stored = item::decode(table, attributes)?;
        if !is_expired(table, &stored.item, now) {
            page.items.push(stored);
        }
    }
    page.next = last.map(|key| position(table, key)).transpose()?;
    Ok(page)
}

/// The attributes that say where an item stands in its table, and in its index.
fn key_in(plan: &Plan<'_>, item: &Attributes) -> Attributes {
    let index = plan.index.map(|(index, _)| index);
    let names = [Some(plan.table.hash), plan.table.range, index.map(|i| i.hash), index.and_then(|i| i.range)];
    let found = names.into_iter().flatten().filter_map(|name| item.get_key_value(name));
    found.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn position(table: &'static Table, key: Attributes) -> Result<Position, StoreError> {
    let string = |(name, value)| match value {
        AttributeValue::S(text) => Ok((name, Value::String(text))),
        _ => Err(StoreError::new(
            StoreErrorKind::Unexpected,
            format!("attribute {name} of table {} is a key and no string; run `portico doctor`", table.name),
        )),
    };
    key.into_iter().map(string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        ports::store::Query,
        schema::{NOTIFICATIONS, SESSIONS, STATUSES, USERS},
    };

    const BY_TIME: &str = "user_id-created_at-index";

    fn wire(query: &Query) -> Value {
        let plan = Plan::of(query).unwrap();
        serde_json::to_value(request(&plan, query.after.as_ref(), &TableNames::default())).unwrap()
    }

    fn attributes(value: Value) -> Attributes {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_index_is_queried_by_its_hash_bound_and_position() {
        let after = json!({"notification_id": "n", "user_id": "u", "created_at": "5"});
        let query = Query::index(&NOTIFICATIONS, BY_TIME, "u")
            .descending()
            .limit(7)
            .range(RangeBound::Below("9".into()))
            .after(after.as_object().cloned());
        assert_eq!(
            wire(&query),
            json!({
                "TableName": "notifications", "IndexName": BY_TIME,
                "KeyConditionExpression": "#hash = :hash AND #range < :range",
                "ExpressionAttributeNames": {"#hash": "user_id", "#range": "created_at"},
                "ExpressionAttributeValues": {":hash": {"S": "u"}, ":range": {"S": "9"}},
                "ScanIndexForward": false, "Limit": 8,
                "ExclusiveStartKey":
                    {"notification_id": {"S": "n"}, "user_id": {"S": "u"}, "created_at": {"S": "5"}},
            })
        );
        let up_to = wire(&Query::index(&NOTIFICATIONS, BY_TIME, "u").range(RangeBound::AtMost("9".into())));
        assert_eq!(up_to["KeyConditionExpression"], "#hash = :hash AND #range <= :range");
        assert_eq!(
            wire(&Query::index(&USERS, "email-index", "e")),
            json!({
                "TableName": "users", "IndexName": "email-index", "KeyConditionExpression": "#hash = :hash",
                "ExpressionAttributeNames": {"#hash": "email"}, "ExpressionAttributeValues": {":hash": {"S": "e"}},
                "ScanIndexForward": true, "Limit": 101,
            })
        );
    }

    #[test]
    fn a_small_table_is_scanned() {
        let after = json!({"status_id": "s"});
        assert_eq!(
            wire(&Query::whole(&STATUSES).limit(2).after(after.as_object().cloned())),
            json!({
                "TableName": "statuses", "ConsistentRead": true, "Limit": 3,
                "ExclusiveStartKey": {"status_id": {"S": "s"}},
            })
        );
    }

    #[test]
    fn what_no_index_holds_is_not_asked_for() {
        let of_nobody = Query::index(&NOTIFICATIONS, BY_TIME, "");
        let too_long = Query::index(&NOTIFICATIONS, BY_TIME, "x".repeat(2049));
        let below_all = Query::index(&NOTIFICATIONS, BY_TIME, "u").range(RangeBound::Below(String::new()));
        let at_most_none =
            Query::index(&NOTIFICATIONS, BY_TIME, "u").range(RangeBound::AtMost(String::new()));
        for query in [of_nobody, too_long, below_all, at_most_none] {
            assert_eq!(wire(&query), Value::Null, "{query:?}");
        }
    }

    #[test]
    fn a_page_leaves_out_what_has_expired_and_goes_on_behind_it() {
        let now = Timestamp::from_millis(10_000);
        let items = [9, 10, 11].map(|second| {
            attributes(
                json!({"session_id": {"S": format!("s{second}")}, "purge_at": {"N": second.to_string()}}),
            )
        });
        let last = attributes(json!({"session_id": {"S": "s11"}, "user_id": {"S": "u"}}));
        let query = Query::index(&SESSIONS, "user_id-index", "u");
        let plan = Plan::of(&query).unwrap();
        let found = page(&plan, items.to_vec(), Some(last.clone()), now).unwrap();
        assert_eq!(found.items.len(), 1);
        assert_eq!(found.items[0].item["session_id"], "s11");
        assert_eq!(found.next.map(Value::Object), Some(json!({"session_id": "s11", "user_id": "u"})));
        let empty = page(&plan, items[..2].to_vec(), Some(last), now).unwrap();
        assert!(empty.items.is_empty() && empty.next.is_some());
        assert_eq!(page(&plan, vec![], None, now).unwrap(), Page::default());
    }

    #[test]
    fn what_was_asked_for_beyond_the_page_tells_where_it_goes_on() {
        let items = ["a", "b", "c"].map(|id| {
            attributes(json!({
                "notification_id": {"S": id}, "user_id": {"S": "u"}, "created_at": {"S": "5"}, "message": {"S": "m"},
            }))
        });
        let query = Query::index(&NOTIFICATIONS, BY_TIME, "u").limit(2);
        let plan = Plan::of(&query).unwrap();
        let last = attributes(json!({"notification_id": {"S": "c"}}));
        let found = page(&plan, items.to_vec(), Some(last), Timestamp::default()).unwrap();
        let position = json!({"notification_id": "b", "user_id": "u", "created_at": "5"});
        assert_eq!((found.items.len(), found.next.map(Value::Object)), (2, Some(position)));
        let whole = page(&plan, items[..2].to_vec(), None, Timestamp::default()).unwrap();
        assert_eq!((whole.items.len(), whole.next), (2, None));
    }

    #[test]
    fn an_index_by_a_number_is_a_mistake() {
        let last = attributes(json!({"session_id": {"S": "s"}, "user_id": {"N": "1"}}));
        let query = Query::index(&SESSIONS, "user_id-index", "u");
        let error = page(&Plan::of(&query).unwrap(), vec![], Some(last), Timestamp::default()).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unexpected);
    }
}
