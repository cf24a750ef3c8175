//! DynamoDB's JSON protocol (AWS JSON 1.0): requests to bytes, bytes to answers.
//!
//! An adapter posts [`encode`]'s bytes to the endpoint's `/` with [`target`] in the header `X-Amz-Target` and
//! [`CONTENT_TYPE`], signed for the service `dynamodb`, and hands status and body of whatever comes to
//! [`decode`].

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    attribute::Attributes,
    client::{Answer, Failure, TableDescription, TimeToLiveDescription},
    request::Request,
};

/// The media type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The value of `X-Amz-Target` for a request.
#[must_use]
pub fn target(request: &Request) -> &'static str {
    match request {
        Request::GetItem(_) => "DynamoDB_20120810.GetItem",
        Request::PutItem(_) => "DynamoDB_20120810.PutItem",
        Request::DeleteItem(_) => "DynamoDB_20120810.DeleteItem",
        Request::TransactWriteItems(_) => "DynamoDB_20120810.TransactWriteItems",
        Request::Query(_) => "DynamoDB_20120810.Query",
        Request::Scan(_) => "DynamoDB_20120810.Scan",
        Request::CreateTable(_) => "DynamoDB_20120810.CreateTable",
        Request::DescribeTable(_) => "DynamoDB_20120810.DescribeTable",
        Request::UpdateTable(_) => "DynamoDB_20120810.UpdateTable",
        Request::DescribeTimeToLive(_) => "DynamoDB_20120810.DescribeTimeToLive",
        Request::UpdateTimeToLive(_) => "DynamoDB_20120810.UpdateTimeToLive",
    }
}

/// The body of a request.
///
/// # Errors
/// None in practice: requests are made of strings, numbers and maps by strings.
pub fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request)
        .map_err(|error| Failure::unanswered("a request cannot be encoded", false).caused_by(error))
}

/// The answer to a request.
///
/// # Errors
/// What DynamoDB refused, or that the answer cannot be understood.
pub fn decode(request: &Request, status: u16, body: &[u8]) -> Result<Answer, Failure> {
    if status != 200 {
        return Err(refusal(status, body));
    }
    Ok(match request {
        Request::GetItem(_) => Answer::Item(parse::<ItemAnswer>(body)?.item),
        Request::Query(_) | Request::Scan(_) => {
            let PageAnswer { items, last_evaluated_key } = parse(body)?;
            Answer::Page { items, last_evaluated_key }
        }
        Request::DescribeTable(_) => Answer::Table(parse::<TableAnswer>(body)?.table),
        Request::DescribeTimeToLive(_) => {
            Answer::TimeToLive(parse::<TimeToLiveAnswer>(body)?.time_to_live_description)
        }
        Request::PutItem(_)
        | Request::DeleteItem(_)
        | Request::TransactWriteItems(_)
        | Request::CreateTable(_)
        | Request::UpdateTable(_)
        | Request::UpdateTimeToLive(_) => {
            // What a proxy says instead is no acknowledgement.
            let Acknowledged {} = parse(body)?;
            Answer::Done
        }
    })
}

/// Whatever a write is answered with: an object.
#[derive(Deserialize)]
struct Acknowledged {}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::unanswered("an answer that is not DynamoDB's", true).caused_by(error))
}

fn refusal(status: u16, body: &[u8]) -> Failure {
    let Ok(error) = serde_json::from_slice::<ErrorAnswer>(body) else {
        return Failure::refused(status, None, "an answer that is not DynamoDB's");
    };
    // The type comes as `namespace#Name`, sometimes as `Name:uri`.
    let code = error.kind.rsplit('#').next().and_then(|name| name.split(':').next());
    let code = code.filter(|name| !name.is_empty()).map(str::to_owned);
    let reasons = error.reasons.into_iter().map(|reason| reason.code);
    Failure::refused(status, code, error.message).because(reasons)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ItemAnswer {
    item: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageAnswer {
    #[serde(default)]
    items: Vec<Attributes>,
    last_evaluated_key: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableAnswer {
    table: TableDescription,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLiveAnswer {
    time_to_live_description: TimeToLiveDescription,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
    #[serde(rename = "CancellationReasons", default)]
    reasons: Vec<ReasonAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReasonAnswer {
    code: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dynamo::{
        attribute::AttributeValue,
        request::{
            ConditionCheck, ConditionExpression, DeleteItem, GetItem, PutItem, Query, Scan, TableName,
            TransactItem, TransactWriteItems, named,
        },
    };

    fn attributes(id: &str) -> Attributes {
        [("id".to_owned(), AttributeValue::string(id))].into()
    }

    fn condition() -> ConditionExpression {
        ConditionExpression {
            condition_expression: "#v = :v".into(),
            expression_attribute_names: named([("#v", "_version".to_owned())]),
            expression_attribute_values: named([(":v", AttributeValue::number(7))]),
        }
    }

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&encode(request).unwrap()).unwrap()
    }

    fn get() -> Request {
        Request::GetItem(GetItem { table_name: "t".into(), key: attributes("a"), consistent_read: true })
    }

    #[test]
    fn a_request_has_dynamodbs_names() {
        assert_eq!(target(&get()), "DynamoDB_20120810.GetItem");
        assert_eq!(
            body(&get()),
            json!({"TableName": "t", "Key": {"id": {"S": "a"}}, "ConsistentRead": true})
        );
        let put = PutItem { table_name: "t".into(), item: attributes("a"), condition: Some(condition()) };
        assert_eq!(
            body(&Request::PutItem(put)),
            json!({
                "TableName": "t", "Item": {"id": {"S": "a"}}, "ConditionExpression": "#v = :v",
                "ExpressionAttributeNames": {"#v": "_version"}, "ExpressionAttributeValues": {":v": {"N": "7"}},
            })
        );
        let query = Query {
            table_name: "t".into(),
            index_name: "i".into(),
            key_condition_expression: "#h = :h".into(),
            expression_attribute_names: named([("#h", "id".to_owned())]),
            expression_attribute_values: named([(":h", AttributeValue::string("x"))]),
            scan_index_forward: false,
            limit: 3,
            exclusive_start_key: Some(attributes("a")),
        };
        assert_eq!(
            body(&Request::Query(query)),
            json!({
                "TableName": "t", "IndexName": "i", "KeyConditionExpression": "#h = :h",
                "ExpressionAttributeNames": {"#h": "id"}, "ExpressionAttributeValues": {":h": {"S": "x"}},
                "ScanIndexForward": false, "Limit": 3, "ExclusiveStartKey": {"id": {"S": "a"}},
            })
        );
    }

    #[test]
    fn what_is_empty_is_not_sent() {
        let delete = DeleteItem { table_name: "t".into(), key: attributes("a"), condition: None };
        assert_eq!(body(&Request::DeleteItem(delete)), json!({"TableName": "t", "Key": {"id": {"S": "a"}}}));
        let bare = ConditionExpression {
            condition_expression: "attribute_exists(id)".into(),
            ..ConditionExpression::default()
        };
        let check = ConditionCheck { table_name: "t".into(), key: attributes("a"), condition: bare };
        let transaction = TransactWriteItems {
            transact_items: vec![TransactItem::ConditionCheck(check)],
            client_request_token: "token".into(),
        };
        assert_eq!(
            body(&Request::TransactWriteItems(transaction)),
            json!({
                "TransactItems": [{"ConditionCheck": {
                    "TableName": "t", "Key": {"id": {"S": "a"}}, "ConditionExpression": "attribute_exists(id)",
                }}],
                "ClientRequestToken": "token",
            })
        );
        let scan =
            Scan { table_name: "t".into(), consistent_read: true, limit: 9, exclusive_start_key: None };
        assert_eq!(body(&Request::Scan(scan)), json!({"TableName": "t", "ConsistentRead": true, "Limit": 9}));
    }

    #[test]
    fn answers_are_read() {
        let read =
            |request: &Request, body: Value| decode(request, 200, body.to_string().as_bytes()).unwrap();
        assert_eq!(read(&get(), json!({})), Answer::Item(None));
        assert_eq!(read(&get(), json!({"Item": {"id": {"S": "a"}}})), Answer::Item(Some(attributes("a"))));
        let scan =
            Scan { table_name: "t".into(), consistent_read: true, limit: 9, exclusive_start_key: None };
        assert_eq!(
            read(
                &Request::Scan(scan),
                json!({"Items": [{"id": {"S": "a"}}], "Count": 1, "LastEvaluatedKey": {"id": {"S": "a"}}}),
            ),
            Answer::Page { items: vec![attributes("a")], last_evaluated_key: Some(attributes("a")) }
        );
        let table = TableName { table_name: "t".into() };
        assert_eq!(
            read(
                &Request::DescribeTimeToLive(table.clone()),
                json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "purge_at"}}),
            ),
            Answer::TimeToLive(TimeToLiveDescription {
                time_to_live_status: "ENABLED".into(),
                attribute_name: Some("purge_at".into()),
            })
        );
        let Answer::Table(description) = read(
            &Request::DescribeTable(table),
            json!({"Table": {
                "TableStatus": "ACTIVE", "ItemCount": 3, "TableArn": "arn:…",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0},
                "GlobalSecondaryIndexes": [{
                    "IndexName": "i", "IndexStatus": "ACTIVE", "Projection": {"ProjectionType": "ALL"},
                    "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}], "IndexSizeBytes": 0,
                }],
            }}),
        ) else {
            panic!("not a table")
        };
        assert_eq!(description.table_status, "ACTIVE");
        assert_eq!(description.global_secondary_indexes[0].key_schema[0].attribute_name, "x");
    }

    #[test]
    fn refusals_are_read() {
        let cancelled = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons",
            "CancellationReasons": [
                {"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
            ],
        });
        let failure = decode(&get(), 400, cancelled.to_string().as_bytes()).unwrap_err();
        assert_eq!(failure.code.as_deref(), Some("TransactionCanceledException"));
        assert_eq!(failure.reasons, [None, Some("ConditionalCheckFailed".to_owned())]);
        assert_eq!(failure.message, "Transaction cancelled, please refer cancellation reasons");
        let slow =
            br#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate exceeded"}"#;
        let failure = decode(&get(), 400, slow).unwrap_err();
        assert_eq!(failure.to_string(), "ThrottlingException (400): Rate exceeded");
        assert!(failure.reasons.is_empty());
    }

    #[test]
    fn what_is_not_dynamodbs_is_a_failure_and_no_answer() {
        let failure = decode(&get(), 502, b"<html>bad gateway</html>").unwrap_err();
        assert_eq!((failure.status, failure.code.as_deref()), (Some(502), None));
        for body in [&b""[..], b"{", b"[]", br#"{"Item": {"id": {"X": 1}}}"#] {
            let failure = decode(&get(), 200, body).unwrap_err();
            assert!(failure.may_have_applied(), "{failure}");
        }
        let delete = DeleteItem { table_name: "t".into(), key: attributes("a"), condition: None };
        let failure = decode(&Request::DeleteItem(delete), 200, b"<html>welcome</html>").unwrap_err();
        assert!(failure.may_have_applied(), "{failure}");
    }
}
