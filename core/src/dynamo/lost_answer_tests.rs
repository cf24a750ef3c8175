//! The store when answers are lost: what was applied is never told as a conflict, nor the reverse.

use std::sync::{Arc, Mutex};

use futures::executor::block_on;

use super::{
    attribute::{AttributeValue, Attributes},
    client::{Answer, Failure},
    item::VERSION,
    request::{Request, TransactItem},
    script::{Script, code, cut},
    store_tests::{CONDITIONS, cancelled, delete, kind, operations, put, row, store_over, transact},
};
use crate::{
    memory::entropy::SeededEntropy,
    ports::{
        entropy::Entropy,
        store::{Condition, Store, StoreError, StoreErrorKind, Version, Write},
    },
};

#[test]
fn a_put_whose_answer_was_lost_is_recognised_by_its_version() {
    let mut ours = None;
    let script = Script::answering(move |request| match (request, &ours) {
        (Request::PutItem(put), None) => {
            ours = Some(put.item.clone());
            Err(cut())
        }
        (Request::PutItem(_), Some(_)) => Err(code("ConditionalCheckFailedException")),
        (Request::GetItem(get), ours) if get.consistent_read => Ok(Answer::Item(ours.clone())),
        other => panic!("{other:?}"),
    });
    let script = Arc::new(script);
    block_on(store_over(&script, 1).transact(&[put("u", Condition::Absent)])).unwrap();
    assert_eq!(operations(&script.requests()), ["PutItem", "PutItem", "GetItem"]);
}

#[test]
fn a_put_that_somebody_may_have_replaced_has_an_unknown_outcome() {
    for found in [Some(row(9)), None] {
        let answers = [Err(cut()), Err(code("ConditionalCheckFailedException")), Ok(Answer::Item(found))];
        let (result, _) = transact(answers, &[put("u", Condition::At(Version(5)))]);
        assert_eq!(kind(&result), Some(StoreErrorKind::Unavailable));
    }
}

#[test]
fn a_conflict_after_what_surely_was_not_applied_is_one() {
    for failure in [code("ThrottlingException"), Failure::unanswered("no connection", false)] {
        let answers = [Err(failure), Err(code("ConditionalCheckFailedException"))];
        let (result, requests) = transact(answers, &[put("u", Condition::Absent)]);
        assert_eq!(kind(&result), Some(StoreErrorKind::Conflict { write: 0 }));
        assert_eq!(operations(&requests), ["PutItem", "PutItem"]);
    }
}

/// One item in a DynamoDB of which each attempt may be lost before or after it is applied, or be refused for
/// the moment, while others write to the item.
struct Flaky {
    random: SeededEntropy,
    when: Condition,
    stored: Option<u64>,
    tokens: Vec<String>,
    /// How often our write was applied.
    applied: u32,
    /// Whether an answer was lost.
    lost: bool,
}

impl Flaky {
    fn below(&self, bound: u32) -> u32 {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes).unwrap();
        u32::from_be_bytes(bytes) % bound
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, Failure> {
        match self.below(6) {
            0 => self.stored = None,
            1 => self.stored = Some(u64::from(self.below(3)) + 5),
            _ => {}
        }
        match self.below(6) {
            0 => Err(code("ThrottlingException")),
            1 => Err(Failure::unanswered("no connection", false)),
            2 => {
                self.lost = true;
                Err(cut())
            }
            3 => {
                self.lost = true;
                self.apply(request).ok();
                Err(Failure::refused(500, None, "an answer that is lost"))
            }
            _ => self.apply(request),
        }
    }

    fn apply(&mut self, request: &Request) -> Result<Answer, Failure> {
        let holds = self.when.holds(self.stored.map(Version));
        match request {
            Request::GetItem(_) => return Ok(Answer::Item(self.stored.map(row))),
            Request::PutItem(put) if holds => self.stored = Some(version_of(&put.item)),
            Request::DeleteItem(_) if holds => self.stored = None,
            Request::PutItem(_) | Request::DeleteItem(_) => {
                return Err(code("ConditionalCheckFailedException"));
            }
            Request::TransactWriteItems(asked) if self.tokens.contains(&asked.client_request_token) => {
                return Ok(Answer::Done);
            }
            Request::TransactWriteItems(asked) if holds => {
                self.tokens.push(asked.client_request_token.clone());
                self.stored = match &asked.transact_items[0] {
                    TransactItem::Put(put) => Some(version_of(&put.item)),
                    TransactItem::Delete(_) => None,
                    TransactItem::ConditionCheck(_) => panic!("no check was asked for"),
                };
            }
            Request::TransactWriteItems(_) => return Err(cancelled(&[Some("ConditionalCheckFailed"), None])),
            other => panic!("{other:?}"),
        }
        self.applied += 1;
        Ok(Answer::Done)
    }
}

fn version_of(item: &Attributes) -> u64 {
    match &item[VERSION] {
        AttributeValue::N(text) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_success_was_applied_and_a_conflict_was_not_whatever_is_lost() {
    let mut seen = [0; 3];
    for seed in 0..600 {
        for when in CONDITIONS {
            for writes in [
                vec![put("u", when)],
                vec![delete("u", when)],
                vec![put("u", when), put("v", Condition::Always)],
                vec![delete("u", when), put("v", Condition::Always)],
            ] {
                let stored = [None, Some(5), Some(6)][(seed % 3) as usize];
                let flaky = Flaky {
                    random: SeededEntropy::new(seed),
                    when,
                    stored,
                    tokens: Vec::new(),
                    applied: 0,
                    lost: false,
                };
                let flaky = Arc::new(Mutex::new(flaky));
                let answering = flaky.clone();
                let script =
                    Arc::new(Script::answering(move |request| answering.lock().unwrap().answer(request)));
                let result = block_on(store_over(&script, seed).transact(&writes));
                let flaky = flaky.lock().unwrap();
                let at = format!("seed {seed}, {writes:?}: {result:?}");
                match kind(&result) {
                    None => assert!(flaky.applied > 0, "{at}"),
                    // A deletion of what is absent changes nothing, however often it is applied.
                    Some(StoreErrorKind::Conflict { write: 0 }) if is_deletion_of_nothing(&writes) => {}
                    Some(StoreErrorKind::Conflict { write: 0 }) => assert_eq!(flaky.applied, 0, "{at}"),
                    Some(StoreErrorKind::Unavailable) => assert!(flaky.lost, "{at}"),
                    Some(_) => panic!("{at}"),
                }
                if writes.len() > 1 {
                    assert!(flaky.applied <= 1, "{at}");
                }
                seen[match kind(&result) {
                    None => 0,
                    Some(StoreErrorKind::Conflict { .. }) => 1,
                    Some(_) => 2,
                }] += 1;
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "successes, conflicts and unknown outcomes: {seen:?}");
}

fn is_deletion_of_nothing(writes: &[Write]) -> bool {
    matches!(writes, [Write::Delete { when: Condition::Absent, .. }])
}

#[test]
fn only_a_put_that_may_have_been_replaced_is_ever_unknown() {
    // Nobody else writes: then a put knows itself, and a transaction is idempotent.
    for when in CONDITIONS {
        for write in [put("u", when), delete("u", when)] {
            for stored in [None, Some(5)] {
                let (result, applied) = after_one_lost_answer(&write, stored);
                let expected = if when.holds(stored.map(Version)) { (None, true) } else { (CONFLICT, false) };
                assert_eq!((kind(&result), applied), expected, "{write:?} on {stored:?}");
            }
        }
    }
}

const CONFLICT: Option<StoreErrorKind> = Some(StoreErrorKind::Conflict { write: 0 });

/// The first attempt is applied, if its condition holds, and its answer lost.
fn after_one_lost_answer(write: &Write, stored: Option<u64>) -> (Result<(), StoreError>, bool) {
    let (when, random) = (write.when(), SeededEntropy::new(1));
    let flaky = Flaky { random, when, stored, tokens: Vec::new(), applied: 0, lost: false };
    let flaky = Arc::new(Mutex::new(flaky));
    let answering = flaky.clone();
    let script = Arc::new(Script::answering(move |request| {
        let mut flaky = answering.lock().unwrap();
        let answer = flaky.apply(request);
        match answer {
            Ok(Answer::Done) if !std::mem::replace(&mut flaky.lost, true) => Err(cut()),
            answer => answer,
        }
    }));
    let result = block_on(store_over(&script, 1).transact(std::slice::from_ref(write)));
    let applied = flaky.lock().unwrap().applied > 0;
    (result, applied)
}
