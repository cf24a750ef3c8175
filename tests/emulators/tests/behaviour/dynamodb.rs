//! What the product asks of DynamoDB.

use crate::process::{Answer, Emulators};
use crate::signer::signer;
use serde_json::{Value, json};

pub(crate) async fn call(emulators: &Emulators, operation: &str, body: Value) -> Answer {
    signer("dynamodb").dynamodb(emulators, operation, &body).send(emulators).await
}

pub(crate) async fn done(emulators: &Emulators, operation: &str, body: Value) -> Value {
    let answer = call(emulators, operation, body).await;
    assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
    answer.json()
}

pub(crate) async fn create_table(emulators: &Emulators) {
    let table = json!({
        "TableName": "users",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    done(emulators, "CreateTable", table).await;
}

pub(crate) fn put(id: &str) -> Value {
    json!({ "TableName": "users", "Item": { "id": { "S": id }, "mail": { "S": "a@example.org" } } })
}

pub(crate) async fn count(emulators: &Emulators) -> u64 {
    done(emulators, "Scan", json!({ "TableName": "users" })).await["Count"].as_u64().unwrap()
}

#[tokio::test]
async fn tables_are_made_listed_described_and_given_an_index() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    assert_eq!(done(&emulators, "ListTables", json!({})).await["TableNames"], json!(["users"]));
    let index = json!({
        "TableName": "users",
        "AttributeDefinitions": [{ "AttributeName": "mail", "AttributeType": "S" }],
        "GlobalSecondaryIndexUpdates": [{ "Create": {
            "IndexName": "by_mail",
            "KeySchema": [{ "AttributeName": "mail", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
        } }],
    });
    done(&emulators, "UpdateTable", index).await;
    let table = done(&emulators, "DescribeTable", json!({ "TableName": "users" })).await;
    assert_eq!(table["Table"]["TableStatus"], "ACTIVE");
    assert_eq!(table["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"], "ACTIVE");

    done(&emulators, "PutItem", put("1")).await;
    let query = json!({
        "TableName": "users",
        "IndexName": "by_mail",
        "KeyConditionExpression": "mail = :mail",
        "ExpressionAttributeValues": { ":mail": { "S": "a@example.org" } },
        "ReturnConsumedCapacity": "TOTAL",
    });
    let found = done(&emulators, "Query", query).await;
    assert_eq!((&found["Count"], &found["ConsumedCapacity"]["CapacityUnits"]), (&json!(1), &json!(0.5)));
}

#[tokio::test]
async fn the_time_to_live_is_not_set_twice() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    let specification = |enabled: bool| {
        json!({
            "TableName": "users",
            "TimeToLiveSpecification": { "Enabled": enabled, "AttributeName": "expires_at" },
        })
    };
    done(&emulators, "UpdateTimeToLive", specification(true)).await;
    let described = done(&emulators, "DescribeTimeToLive", json!({ "TableName": "users" })).await;
    assert_eq!(described["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
    let again = call(&emulators, "UpdateTimeToLive", specification(true)).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (400, "ValidationException"));
    assert_eq!(again.json()["message"], "TimeToLive is already enabled");
}

#[tokio::test]
async fn what_has_expired_goes_when_asked() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    let specification = json!({
        "TableName": "users",
        "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "expires_at" },
    });
    done(&emulators, "UpdateTimeToLive", specification).await;
    let mut expired = put("old");
    expired["Item"]["expires_at"] = json!({ "N": "1700000000" });
    done(&emulators, "PutItem", expired).await;
    done(&emulators, "PutItem", put("new")).await;
    assert_eq!(count(&emulators).await, 2);
    let answer = emulators.admin("DELETE", "/_aws/dynamodb/expired", "").await;
    assert_eq!(answer.json(), json!({ "ExpiredItems": 1 }));
    assert_eq!(count(&emulators).await, 1);
}

#[tokio::test]
async fn continuous_backups_are_a_setting() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    let status = |value: &Value| {
        value["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
            .clone()
    };
    let described = done(&emulators, "DescribeContinuousBackups", json!({ "TableName": "users" })).await;
    assert_eq!(status(&described), "DISABLED");
    let update = json!({
        "TableName": "users",
        "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
    });
    assert_eq!(status(&done(&emulators, "UpdateContinuousBackups", update).await), "ENABLED");
    let missing = call(&emulators, "DescribeContinuousBackups", json!({ "TableName": "nothing" })).await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (400, "TableNotFoundException"));
}

#[tokio::test]
async fn a_transaction_is_done_once_per_token_and_says_why_it_was_cancelled() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    let transaction = |token: &str| {
        let mut put = put("1");
        put["ConditionExpression"] = json!("attribute_not_exists(id)");
        json!({ "ClientRequestToken": token, "ReturnConsumedCapacity": "TOTAL", "TransactItems": [{ "Put": put }] })
    };
    for _ in 0..2 {
        done(&emulators, "TransactWriteItems", transaction("first")).await;
    }
    let cancelled = call(&emulators, "TransactWriteItems", transaction("second")).await;
    assert_eq!((cancelled.status.as_u16(), cancelled.code().as_str()), (400, "TransactionCanceledException"));
    assert_eq!(cancelled.json()["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
    assert_eq!(count(&emulators).await, 1);
}

#[tokio::test]
async fn calls_are_counted_and_listed_with_their_table_or_index() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    for id in ["1", "2"] {
        done(&emulators, "PutItem", put(id)).await;
    }
    let record = emulators.admin_json("/_calls").await;
    assert_eq!(record["counts"]["dynamodb"], json!({ "CreateTable": 1, "PutItem": 2 }));
    assert_eq!(
        record["last"][2],
        json!({ "service": "dynamodb", "operation": "PutItem", "resource": "users", "units": 1.0 })
    );
    assert_eq!(emulators.admin("DELETE", "/_calls", "").await.status, 204);
    assert_eq!(emulators.admin_json("/_calls").await, json!({ "counts": {}, "last": [] }));
}

#[tokio::test]
async fn a_transaction_is_listed_with_its_writes_and_what_it_cost() {
    let emulators = Emulators::start(&[]);
    create_table(&emulators).await;
    done(&emulators, "PutItem", put("old")).await;
    let key = |id: &str| json!({ "TableName": "users", "Key": { "id": { "S": id } } });
    let mut check = key("none");
    check["ConditionExpression"] = json!("attribute_not_exists(id)");
    let transaction = json!({ "TransactItems": [
        { "Put": put("new") }, { "Delete": key("old") }, { "ConditionCheck": check },
    ] });
    emulators.admin("DELETE", "/_calls", "").await;
    done(&emulators, "TransactWriteItems", transaction).await;
    let refused = json!({ "TransactItems": [{ "ConditionCheck": {
        "TableName": "users", "Key": { "id": { "S": "new" } }, "ConditionExpression": "attribute_not_exists(id)",
    } }] });
    assert_eq!(call(&emulators, "TransactWriteItems", refused).await.status, 400);
    done(&emulators, "GetItem", key("new")).await;
    let record = emulators.admin_json("/_calls").await;
    let write = |operation: &str| json!({ "operation": operation, "resource": "users" });
    let writes = ["PutItem", "DeleteItem", "ConditionCheckItem"].map(write);
    let transaction = |writes: &[Value]| json!({ "service": "dynamodb", "operation": "TransactWriteItems", "writes": writes });
    let mut first = transaction(&writes);
    first["units"] = json!(6.0);
    assert_eq!(record["last"][0], first);
    assert_eq!(record["last"][1], transaction(&writes[2..]), "what is refused tells no units");
    assert_eq!(record["last"][2]["units"], json!(0.5));
}
