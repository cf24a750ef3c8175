//! Conditions of the store as DynamoDB's condition expressions.
//!
//! An expired item is absent: where the table's items expire, that stands in the expression, because
//! DynamoDB's own TTL removes them when it comes around to it. A comparison with an attribute that is missing
//! or of another type is false, so that only numbers expire.

use super::{
    attribute::AttributeValue,
    item::VERSION,
    request::{ConditionExpression, named},
};
use crate::{
    ports::store::{Condition, Version},
    schema::Table,
    time::Timestamp,
};

/// The expression of a condition; `None` for the one that always holds.
#[must_use]
pub fn of_condition(table: &'static Table, when: Condition, now: Timestamp) -> Option<ConditionExpression> {
    let mut expression = match when {
        Condition::Always => return None,
        Condition::Absent => absent(table),
        Condition::Present => present(table),
        Condition::At(version) => at(table, version),
    };
    if let Some(expires) = table.expires {
        expression.expression_attribute_names.extend(named([("#expires", expires.to_owned())]));
        expression
            .expression_attribute_values
            .extend(named([(":now", AttributeValue::number(now.as_seconds()))]));
    }
    Some(expression)
}

fn absent(table: &'static Table) -> ConditionExpression {
    let expired = table.expires.map_or("", |_| " OR #expires <= :now");
    about_key(table, format!("attribute_not_exists(#key){expired}"))
}

fn present(table: &'static Table) -> ConditionExpression {
    unexpired(table, about_key(table, "attribute_exists(#key)".to_owned()))
}

fn at(table: &'static Table, version: Version) -> ConditionExpression {
    let mut expression = match version {
        Version(0) => {
            about_key(table, "attribute_exists(#key) AND attribute_not_exists(#version)".to_owned())
        }
        Version(version) => ConditionExpression {
            condition_expression: "#version = :version".to_owned(),
            expression_attribute_values: named([(":version", AttributeValue::number(version))]),
            ..ConditionExpression::default()
        },
    };
    expression.expression_attribute_names.extend(named([("#version", VERSION.to_owned())]));
    unexpired(table, expression)
}

fn about_key(table: &'static Table, condition_expression: String) -> ConditionExpression {
    ConditionExpression {
        condition_expression,
        expression_attribute_names: named([("#key", table.hash.to_owned())]),
        ..ConditionExpression::default()
    }
}

fn unexpired(table: &'static Table, mut expression: ConditionExpression) -> ConditionExpression {
    if table.expires.is_some() {
        expression.condition_expression.push_str(
            " AND (attribute_not_exists(#expires) OR NOT attribute_type(#expires, :number) \
             OR #expires > :now)",
        );
        let number = AttributeValue::string("N");
        expression.expression_attribute_values.extend(named([(":number", number)]));
    }
    expression
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::{SESSIONS, USERS};

    fn expression(table: &'static Table, when: Condition) -> Value {
        serde_json::to_value(of_condition(table, when, Timestamp::from_millis(10_999))).unwrap()
    }

    #[test]
    fn conditions_of_a_table_whose_items_last() {
        assert_eq!(expression(&USERS, Condition::Always), Value::Null);
        assert_eq!(
            expression(&USERS, Condition::Absent),
            json!({
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": "user_id"},
            })
        );
        assert_eq!(
            expression(&USERS, Condition::Present),
            json!({
                "ConditionExpression": "attribute_exists(#key)",
                "ExpressionAttributeNames": {"#key": "user_id"},
            })
        );
        assert_eq!(
            expression(&USERS, Condition::At(Version(u64::MAX))),
            json!({
                "ConditionExpression": "#version = :version",
                "ExpressionAttributeNames": {"#version": "_version"},
                "ExpressionAttributeValues": {":version": {"N": "18446744073709551615"}},
            })
        );
        assert_eq!(
            expression(&USERS, Condition::At(Version(0))),
            json!({
                "ConditionExpression": "attribute_exists(#key) AND attribute_not_exists(#version)",
                "ExpressionAttributeNames": {"#key": "user_id", "#version": "_version"},
            })
        );
    }

    #[test]
    fn conditions_of_a_table_whose_items_expire() {
        assert_eq!(
            expression(&SESSIONS, Condition::Absent),
            json!({
                "ConditionExpression": "attribute_not_exists(#key) OR #expires <= :now",
                "ExpressionAttributeNames": {"#key": "session_id", "#expires": "purge_at"},
                "ExpressionAttributeValues": {":now": {"N": "10"}},
            })
        );
        let unexpired =
            "(attribute_not_exists(#expires) OR NOT attribute_type(#expires, :number) OR #expires > :now)";
        assert_eq!(
            expression(&SESSIONS, Condition::At(Version(3))),
            json!({
                "ConditionExpression": format!("#version = :version AND {unexpired}"),
                "ExpressionAttributeNames": {"#version": "_version", "#expires": "purge_at"},
                "ExpressionAttributeValues":
                    {":version": {"N": "3"}, ":now": {"N": "10"}, ":number": {"S": "N"}},
            })
        );
    }

    #[test]
    fn every_name_and_value_of_an_expression_is_used() {
        for table in [&USERS, &SESSIONS] {
            for when in
                [Condition::Absent, Condition::Present, Condition::At(Version(0)), Condition::At(Version(1))]
            {
                let expression = of_condition(table, when, Timestamp::from_millis(0)).unwrap();
                let names = expression.expression_attribute_names.keys();
                for name in names.chain(expression.expression_attribute_values.keys()) {
                    assert!(expression.condition_expression.contains(name), "{name} in {when:?}");
                }
            }
        }
    }
}
