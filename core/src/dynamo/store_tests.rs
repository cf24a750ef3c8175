//! The store over a scripted client: what it asks, and what it makes of what goes wrong.

use std::sync::Arc;

use futures::executor::block_on;
use serde_json::{Value, json};

use super::{
    attribute::{AttributeValue, Attributes},
    client::{Answer, DynamoClient, Failure},
    item::{REST, VERSION},
    json::target,
    names::TableNames,
    request::{Request, TransactItem},
    script::{Script, code, cut},
    store::DynamoStore,
};
use crate::{
    memory::{entropy::SeededEntropy, restless_clock::RestlessClock},
    ports::store::{Condition, Key, Query, Store, StoreError, StoreErrorKind, Version, Write},
    schema::{COUNTERS, STATUSES, USER_VERIFICATIONS, USERS},
};

pub(super) const CONDITIONS: [Condition; 4] =
    [Condition::Always, Condition::Absent, Condition::Present, Condition::At(Version(5))];

pub(super) fn store_over(script: &Arc<Script>, seed: u64) -> DynamoStore {
    let client: Arc<dyn DynamoClient> = script.clone();
    let clock = Arc::new(RestlessClock::default());
    DynamoStore::new(client, clock, Arc::new(SeededEntropy::new(seed)), TableNames::default())
}

/// What a transaction comes to, and what was asked, when these are the answers.
pub(super) fn transact(
    answers: impl IntoIterator<Item = Result<Answer, Failure>>,
    writes: &[Write],
) -> (Result<(), StoreError>, Vec<Request>) {
    let script = Arc::new(Script::new(answers));
    let result = block_on(store_over(&script, 1).transact(writes));
    (result, script.requests())
}

pub(super) fn kind(result: &Result<(), StoreError>) -> Option<StoreErrorKind> {
    result.as_ref().err().map(|error| error.kind)
}

pub(super) fn operations(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| target(request).rsplit('.').next().unwrap()).collect()
}

pub(super) fn put(id: &str, when: Condition) -> Write {
    let item = json!({"user_id": id, "n": 1}).as_object().cloned().unwrap();
    Write::Put { key: Key::new(&USERS, id), item, when }
}

pub(super) fn delete(id: &str, when: Condition) -> Write {
    Write::Delete { key: Key::new(&USERS, id), when }
}

fn check(id: &str, when: Condition) -> Write {
    Write::Check { key: Key::new(&USERS, id), when }
}

pub(super) fn row(version: u64) -> Attributes {
    [
        ("user_id".to_owned(), AttributeValue::string("u")),
        (VERSION.to_owned(), AttributeValue::number(version)),
    ]
    .into()
}

pub(super) fn cancelled(reasons: &[Option<&str>]) -> Failure {
    let reasons = reasons.iter().map(|reason| reason.map(str::to_owned));
    code("TransactionCanceledException").because(reasons)
}

#[test]
fn one_write_is_one_conditional_write() {
    for when in CONDITIONS {
        let (result, requests) = transact([Ok(Answer::Done)], &[put("u", when)]);
        result.unwrap();
        let [Request::PutItem(asked)] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(asked.condition.is_some(), when != Condition::Always);
        assert!(asked.item.contains_key(VERSION));
    }
    for when in [Condition::Always, Condition::Absent] {
        let (result, requests) = transact([Ok(Answer::Done)], &[delete("u", when)]);
        result.unwrap();
        assert_eq!(operations(&requests), ["DeleteItem"]);
    }
    for when in [Condition::Present, Condition::At(Version(5))] {
        let (result, requests) = transact([Ok(Answer::Done)], &[delete("u", when)]);
        result.unwrap();
        assert_eq!(operations(&requests), ["TransactWriteItems"], "a lost answer must be recognisable");
    }
}

#[test]
fn one_check_is_a_read_and_a_check_of_nothing_is_nothing() {
    let (result, requests) =
        transact([Ok(Answer::Item(Some(row(5))))], &[check("u", Condition::At(Version(5)))]);
    result.unwrap();
    let [Request::GetItem(asked)] = &requests[..] else { panic!("{requests:?}") };
    assert!(asked.consistent_read);
    let (result, _) = transact([Ok(Answer::Item(None))], &[check("u", Condition::Present)]);
    assert_eq!(kind(&result), Some(StoreErrorKind::Conflict { write: 0 }));
    let (result, requests) = transact([], &[check("u", Condition::Always), check("v", Condition::Always)]);
    result.unwrap();
    assert!(requests.is_empty());
    transact([], &[]).0.unwrap();
}

#[test]
fn several_writes_are_a_transaction_with_a_token_that_stays() {
    let writes = [
        put("a", Condition::Absent),
        check("b", Condition::Always),
        delete("c", Condition::Present),
        check("d", Condition::Absent),
    ];
    let answers = [
        Err(cut()),
        Err(code("TransactionInProgressException")),
        Err(cancelled(&[None, Some("TransactionConflict"), None])),
        Ok(Answer::Done),
    ];
    let (result, requests) = transact(answers, &writes);
    result.unwrap();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request == &requests[0]), "every attempt is the same request");
    let Request::TransactWriteItems(asked) = &requests[0] else { panic!("{requests:?}") };
    assert_eq!(asked.client_request_token.len(), 32);
    assert!(matches!(
        &asked.transact_items[..],
        [TransactItem::Put(_), TransactItem::Delete(_), TransactItem::ConditionCheck(_)]
    ));
}

#[test]
fn a_conflict_names_the_write_among_all() {
    let writes =
        [check("a", Condition::Always), put("b", Condition::Absent), put("c", Condition::At(Version(1)))];
    let failed = Some("ConditionalCheckFailed");
    for (reasons, write) in [([failed, failed], 1), ([None, failed], 2)] {
        let (result, _) = transact([Err(cancelled(&reasons))], &writes);
        assert_eq!(kind(&result), Some(StoreErrorKind::Conflict { write }));
    }
    let alone = [check("a", Condition::Always), put("b", Condition::Absent)];
    let (result, requests) = transact([Err(code("ConditionalCheckFailedException"))], &alone);
    assert_eq!(kind(&result), Some(StoreErrorKind::Conflict { write: 1 }));
    assert_eq!(operations(&requests), ["PutItem"]);
    // Behind a write that others were at, another's failure may not be the first: it is asked again.
    let (result, _) = transact(
        [Err(cancelled(&[Some("TransactionConflict"), failed])), Err(cancelled(&[failed, failed]))],
        &writes,
    );
    assert_eq!(kind(&result), Some(StoreErrorKind::Conflict { write: 1 }));
}

#[test]
fn a_token_that_was_used_is_no_conflict() {
    let answers = [Err(code("IdempotentParameterMismatchException"))];
    let (result, _) = transact(answers, &[put("a", Condition::Absent), put("b", Condition::Absent)]);
    assert_eq!(kind(&result), Some(StoreErrorKind::Unexpected));
}

#[test]
fn a_transaction_beyond_dynamodbs_limit_is_not_sent() {
    let large = |n: usize| {
        let id = format!("s{n}");
        let item = json!({"status_id": id, "text": "x".repeat(390_000)}).as_object().cloned().unwrap();
        Write::Put { key: Key::new(&STATUSES, id), item, when: Condition::Always }
    };
    let writes: Vec<Write> = (0..11).map(large).collect();
    let (result, requests) = transact([], &writes);
    assert_eq!((kind(&result), requests.len()), (Some(StoreErrorKind::TooLarge), 0));
    transact([Ok(Answer::Done)], &writes[..10]).0.unwrap();
}

#[test]
fn keys_beyond_dynamodbs_limit_are_absent_and_not_written() {
    let long = "x".repeat(2049);
    let script = Arc::new(Script::new([]));
    let store = store_over(&script, 1);
    for key in [Key::new(&USERS, &long), Key::new(&USERS, ""), Key::new(&USER_VERIFICATIONS, "u")] {
        assert_eq!(block_on(store.get(&key)).unwrap(), None);
    }
    assert_eq!(block_on(store.query(&Query::index(&USERS, "email-index", ""))).unwrap().items, []);
    for write in
        [put(&long, Condition::Always), delete(&long, Condition::Always), check(&long, Condition::Always)]
    {
        let error = block_on(store.transact(&[write])).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::TooLarge);
    }
    assert!(script.requests().is_empty());
}

#[test]
fn an_expired_item_is_read_as_absent() {
    let row: Attributes =
        serde_json::from_value(json!({"counter_id": {"S": "c"}, "expires_at": {"N": "1"}})).unwrap();
    let script = Arc::new(Script::answering(move |_| Ok(Answer::Item(Some(row.clone())))));
    let store = store_over(&script, 1);
    assert_eq!(block_on(store.get(&Key::new(&COUNTERS, "c"))).unwrap(), None);
}

#[test]
fn tables_go_by_the_deployments_names() {
    let script = Arc::new(Script::answering(|request| match request {
        Request::GetItem(_) => Ok(Answer::Item(None)),
        Request::Query(_) | Request::Scan(_) => Ok(Answer::Page { items: vec![], last_evaluated_key: None }),
        _ => Ok(Answer::Done),
    }));
    let client: Arc<dyn DynamoClient> = script.clone();
    let names = TableNames::from_fn(|table| Some(format!("prod-{}", table.name)));
    let clock = Arc::new(RestlessClock::default());
    let store = DynamoStore::new(client, clock, Arc::new(SeededEntropy::new(1)), names);
    block_on(async {
        store.get(&Key::new(&USERS, "u")).await.unwrap();
        store.query(&Query::whole(&STATUSES)).await.unwrap();
        store.query(&Query::index(&USERS, "email-index", "e")).await.unwrap();
        store.transact(&[put("u", Condition::Always)]).await.unwrap();
        store.transact(&[delete("u", Condition::Always)]).await.unwrap();
        store
            .transact(&[
                put("u", Condition::Always),
                delete("v", Condition::Always),
                check("w", Condition::Absent),
            ])
            .await
            .unwrap();
    });
    for request in script.requests() {
        let body = serde_json::to_string(&request).unwrap();
        let tables = body.matches("\"TableName\":\"").count();
        assert_eq!(body.matches("\"TableName\":\"prod-").count(), tables, "{body}");
        assert!(tables > 0);
    }
}

#[test]
fn errors_hold_no_item_content() {
    let secret = json!({"user_id": "s3cret-id", "email": 1, "text": "s3cret"}).as_object().cloned().unwrap();
    let write = Write::Put { key: Key::new(&USERS, "s3cret-id"), item: secret, when: Condition::Absent };
    for failure in [code("ValidationException"), code("ConditionalCheckFailedException")] {
        let script = Arc::new(Script::new([Err(failure)]));
        let error = block_on(store_over(&script, 1).transact(std::slice::from_ref(&write))).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        let asked = format!("{:?}", script.requests());
        assert!(asked.contains(REST) && !asked.contains("s3cret"), "{asked}");
    }
}

#[test]
fn a_position_goes_back_to_where_it_came_from() {
    let key = json!({"user_id": {"S": "u"}, "email": {"S": "e"}});
    let key: Attributes = serde_json::from_value(key).unwrap();
    let last = Some(key.clone());
    let page = Answer::Page { items: vec![row(1)], last_evaluated_key: last.clone() };
    let end = Answer::Page { items: vec![], last_evaluated_key: None };
    let script = Arc::new(Script::new([Ok(page), Ok(end)]));
    let store = store_over(&script, 1);
    let query = Query::index(&USERS, "email-index", "e");
    let first = block_on(store.query(&query)).unwrap();
    assert_eq!(first.items.len(), 1);
    assert!(first.next.iter().flat_map(|next| next.values()).all(Value::is_string));
    let second = block_on(store.query(&query.after(first.next))).unwrap();
    assert_eq!((second.items.len(), second.next), (0, None));
    let Request::Query(asked) = &script.requests()[1] else { panic!() };
    assert_eq!(asked.exclusive_start_key, last);
}
