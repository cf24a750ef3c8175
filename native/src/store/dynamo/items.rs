//! The operations on items.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck as SdkCheck, Delete, Put, TransactWriteItem};
use portico_core::dynamo::client::{Answer, Failure};
use portico_core::dynamo::request::{
    ConditionExpression, DeleteItem, GetItem, PutItem, Query, Scan, TransactItem, TransactWriteItems,
};

use super::attribute::{decode, encode, encode_some};
use super::failure;

/// A condition in the pieces that the SDK takes; those that are absent are not sent.
#[derive(Default)]
struct Condition {
    expression: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    fn of(condition: &ConditionExpression) -> Self {
        let names = &condition.expression_attribute_names;
        Self {
            expression: Some(condition.condition_expression.clone()),
            names: (!names.is_empty()).then(|| names.clone().into_iter().collect()),
            values: encode_some(&condition.expression_attribute_values),
        }
    }

    fn of_some(condition: Option<&ConditionExpression>) -> Self {
        condition.map(Self::of).unwrap_or_default()
    }
}

pub(super) async fn get(client: &Client, get: &GetItem) -> Result<Answer, Failure> {
    let call = client
        .get_item()
        .table_name(&get.table_name)
        .set_key(Some(encode(&get.key)))
        .consistent_read(get.consistent_read);
    let output = call.send().await.map_err(failure::of)?;
    Ok(Answer::Item(output.item.map(decode).transpose()?))
}

pub(super) async fn put(client: &Client, put: &PutItem) -> Result<Answer, Failure> {
    let Condition { expression, names, values } = Condition::of_some(put.condition.as_ref());
    let call = client
        .put_item()
        .table_name(&put.table_name)
        .set_item(Some(encode(&put.item)))
        .set_condition_expression(expression)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values);
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn delete(client: &Client, delete: &DeleteItem) -> Result<Answer, Failure> {
    let Condition { expression, names, values } = Condition::of_some(delete.condition.as_ref());
    let call = client
        .delete_item()
        .table_name(&delete.table_name)
        .set_key(Some(encode(&delete.key)))
        .set_condition_expression(expression)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values);
    call.send().await.map_err(failure::of)?;
    Ok(Answer::Done)
}

pub(super) async fn transact(client: &Client, writes: &TransactWriteItems) -> Result<Answer, Failure> {
    let items = writes.transact_items.iter().map(transact_item).collect::<Result<_, _>>()?;
    let call = client
        .transact_write_items()
        .set_transact_items(Some(items))
        .client_request_token(&writes.client_request_token);
    call.send().await.map_err(failure::of_transaction)?;
    Ok(Answer::Done)
}

fn transact_item(item: &TransactItem) -> Result<TransactWriteItem, Failure> {
    let built = TransactWriteItem::builder();
    let built = match item {
        TransactItem::Put(put) => built.put(transact_put(put)?),
        TransactItem::Delete(delete) => built.delete(transact_delete(delete)?),
        TransactItem::ConditionCheck(check) => {
            let Condition { expression, names, values } = Condition::of(&check.condition);
            let check = SdkCheck::builder()
                .table_name(&check.table_name)
                .set_key(Some(encode(&check.key)))
                .set_condition_expression(expression)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            built.condition_check(check.build().map_err(failure::of_request)?)
        }
    };
    Ok(built.build())
}

fn transact_put(put: &PutItem) -> Result<Put, Failure> {
    let Condition { expression, names, values } = Condition::of_some(put.condition.as_ref());
    let put = Put::builder()
        .table_name(&put.table_name)
        .set_item(Some(encode(&put.item)))
        .set_condition_expression(expression)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values);
    put.build().map_err(failure::of_request)
}

fn transact_delete(delete: &DeleteItem) -> Result<Delete, Failure> {
    let Condition { expression, names, values } = Condition::of_some(delete.condition.as_ref());
    let delete = Delete::builder()
        .table_name(&delete.table_name)
        .set_key(Some(encode(&delete.key)))
        .set_condition_expression(expression)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values);
    delete.build().map_err(failure::of_request)
}

pub(super) async fn query(client: &Client, query: &Query) -> Result<Answer, Failure> {
    let call = client
        .query()
        .table_name(&query.table_name)
        .index_name(&query.index_name)
        .key_condition_expression(&query.key_condition_expression)
        .set_expression_attribute_names(Some(query.expression_attribute_names.clone().into_iter().collect()))
        .set_expression_attribute_values(encode_some(&query.expression_attribute_values))
        .scan_index_forward(query.scan_index_forward)
        .limit(query.limit)
        .set_exclusive_start_key(query.exclusive_start_key.as_ref().map(encode));
    let output = call.send().await.map_err(failure::of)?;
    page(output.items, output.last_evaluated_key)
}

pub(super) async fn scan(client: &Client, scan: &Scan) -> Result<Answer, Failure> {
    let call = client
        .scan()
        .table_name(&scan.table_name)
        .consistent_read(scan.consistent_read)
        .limit(scan.limit)
        .set_exclusive_start_key(scan.exclusive_start_key.as_ref().map(encode));
    let output = call.send().await.map_err(failure::of)?;
    page(output.items, output.last_evaluated_key)
}

type Found = HashMap<String, AttributeValue>;

fn page(items: Option<Vec<Found>>, last_evaluated_key: Option<Found>) -> Result<Answer, Failure> {
    let items = items.unwrap_or_default().into_iter().map(decode).collect::<Result<_, _>>()?;
    let last_evaluated_key = last_evaluated_key.filter(|key| !key.is_empty()).map(decode).transpose()?;
    Ok(Answer::Page { items, last_evaluated_key })
}
