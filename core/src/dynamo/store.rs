//! The store in DynamoDB.
//!
//! One write is one conditional `PutItem` or `DeleteItem`; several are one `TransactWriteItems`. A write that
//! was applied although its answer was lost never shows as a conflict: a transaction carries a token that
//! makes it idempotent, and a put is known by its version, which no other write has. A deletion leaves
//! nothing to know it by; where that matters it goes as a transaction of one.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    attribute::Attributes,
    client::{Answer, DynamoClient},
    expression::of_condition,
    failure::Meaning,
    item::{self, can_exist, key_attributes},
    mismatch::Mismatch,
    names::TableNames,
    query,
    request::{ConditionCheck, DeleteItem, GetItem, PutItem, Request, TransactItem, TransactWriteItems},
    retry::{Refusal, Sender},
    size::{MAX_TRANSACTION_SIZE, of_attributes},
    tables::{self, Prepared},
};
use crate::{
    aws::budget::RetryBudget,
    ports::store_index::{Plan, is_expired, new_versions},
    ports::{
        clock::Clock,
        entropy::Entropy,
        store::{Condition, Key, Page, Query, Store, StoreError, StoreErrorKind, Version, Versioned, Write},
        store_ext::check_writes,
    },
    time::Timestamp,
};

/// Keeps items in DynamoDB.
#[derive(Debug)]
pub struct DynamoStore {
    client: Arc<dyn DynamoClient>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    names: TableNames,
    budget: RetryBudget,
}

/// A write, with its place in the transaction and the version that it gives.
#[derive(Clone, Copy)]
struct Action<'write> {
    place: usize,
    write: &'write Write,
    version: Version,
}

impl DynamoStore {
    /// A store in the tables of these names, which [`DynamoStore::prepare`] makes.
    #[must_use]
    pub fn new(
        client: Arc<dyn DynamoClient>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        names: TableNames,
    ) -> Self {
        Self { client, clock, entropy, names, budget: RetryBudget::default() }
    }

    /// Makes the tables that are missing; see [`tables::prepare`].
    ///
    /// # Errors
    /// As [`tables::prepare`].
    pub async fn prepare(&self) -> Result<Prepared, StoreError> {
        tables::prepare(self.sender(), &self.names).await
    }

    /// Compares the tables with the schema; see [`tables::inspect`].
    ///
    /// # Errors
    /// As [`tables::inspect`].
    pub async fn inspect(&self) -> Result<Vec<Mismatch>, StoreError> {
        tables::inspect(self.sender(), &self.names).await
    }

    fn sender(&self) -> Sender<'_> {
        let Self { client, clock, entropy, budget, .. } = self;
        Sender { client: &**client, clock: &**clock, entropy: &**entropy, budget: Some(budget) }
    }

    async fn send(&self, request: &Request) -> Result<Answer, Refusal> {
        self.sender().send(request).await
    }

    /// Reads an item, expired or not.
    async fn read(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        if !can_exist(key) {
            return Ok(None);
        }
        let table_name = self.names.of(key.table).to_owned();
        let request = GetItem { table_name, key: key_attributes(key), consistent_read: true };
        match self.send(&Request::GetItem(request)).await? {
            Answer::Item(found) => found.map(|attributes| item::decode(key.table, attributes)).transpose(),
            _ => Err(another_answer()),
        }
    }

    async fn check(&self, Action { place, write, .. }: Action<'_>) -> Result<(), StoreError> {
        let current = self.get(write.key()).await?.map(|stored| stored.version);
        if write.when().holds(current) { Ok(()) } else { Err(StoreError::conflict(place)) }
    }

    async fn put(&self, action: Action<'_>, put: PutItem) -> Result<(), StoreError> {
        match self.send(&Request::PutItem(put)).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.uncertain && matches!(refusal.meaning, Meaning::Conflict { .. }) => {
                self.recognise(action, refusal).await
            }
            Err(refusal) => Err(blaming(&[action], refusal)),
        }
    }

    /// Says whether it was an earlier attempt of the same put that made its condition fail. If the item has
    /// another version, nobody knows: a later write may have replaced ours.
    async fn recognise(&self, action: Action<'_>, refusal: Refusal) -> Result<(), StoreError> {
        match self.read(action.write.key()).await? {
            Some(stored) if stored.version == action.version => Ok(()),
            _ => Err(refusal.unknown()),
        }
    }

    async fn delete(&self, action: Action<'_>, delete: DeleteItem) -> Result<(), StoreError> {
        match self.send(&Request::DeleteItem(delete)).await {
            Ok(_) => Ok(()),
            Err(refusal) => Err(blaming(&[action], refusal)),
        }
    }

    async fn transaction(&self, actions: &[Action<'_>], items: Vec<TransactItem>) -> Result<(), StoreError> {
        if items.iter().map(size).sum::<usize>() > MAX_TRANSACTION_SIZE {
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("a transaction above {MAX_TRANSACTION_SIZE} bytes"),
            ));
        }
        let request =
            TransactWriteItems { transact_items: items, client_request_token: self.sender().token()? };
        match self.send(&Request::TransactWriteItems(request)).await {
            Ok(_) => Ok(()),
            Err(refusal) => Err(blaming(actions, refusal)),
        }
    }

    fn item(&self, action: Action<'_>, now: Timestamp) -> Result<Option<TransactItem>, StoreError> {
        let (key, when) = (action.write.key(), action.write.when());
        if !can_exist(key) {
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("write {}: a key of table {} that is too long", action.place, key.table.name),
            ));
        }
        let table_name = self.names.of(key.table).to_owned();
        let condition = of_condition(key.table, when, now);
        Ok(match action.write {
            Write::Put { item, .. } => {
                let item = item::encode(key.table, item, action.version)?;
                Some(TransactItem::Put(PutItem { table_name, item, condition }))
            }
            Write::Delete { .. } => {
                Some(TransactItem::Delete(DeleteItem { table_name, key: key_attributes(key), condition }))
            }
            // A check of nothing is nothing; DynamoDB wants a condition.
            Write::Check { .. } => condition.map(|condition| {
                TransactItem::ConditionCheck(ConditionCheck {
                    table_name,
                    key: key_attributes(key),
                    condition,
                })
            }),
        })
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let found = self.read(key).await?;
        Ok(found.filter(|stored| !is_expired(key.table, &stored.item, self.clock.now())))
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let plan = Plan::of(query)?;
        let Some(request) = query::request(&plan, query.after.as_ref(), &self.names) else {
            return Ok(Page::default());
        };
        match self.send(&request).await? {
            Answer::Page { items, last_evaluated_key } => {
                query::page(&plan, items, last_evaluated_key, self.clock.now())
            }
            _ => Err(another_answer()),
        }
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        check_writes(writes)?;
        let versions = new_versions(&*self.entropy, writes.len())?;
        let now = self.clock.now();
        let (mut actions, mut items) = (Vec::new(), Vec::new());
        for (place, (write, version)) in writes.iter().zip(versions).enumerate() {
            let action = Action { place, write, version };
            if let Some(item) = self.item(action, now)? {
                actions.push(action);
                items.push(item);
            }
        }
        match (actions.as_slice(), items.pop()) {
            (_, None) => Ok(()),
            ([action], Some(TransactItem::ConditionCheck(_))) => self.check(*action).await,
            ([action], Some(TransactItem::Put(put))) => self.put(*action, put).await,
            ([action], Some(TransactItem::Delete(delete))) if is_repeatable(action.write.when()) => {
                self.delete(*action, delete).await
            }
            (actions, Some(last)) => {
                items.push(last);
                self.transaction(actions, items).await
            }
        }
    }
}

/// Whether a deletion may be asked for again without knowing whether it was applied: its condition holds
/// still.
fn is_repeatable(when: Condition) -> bool {
    matches!(when, Condition::Always | Condition::Absent)
}

/// The store's error, which names the write by its place among all.
fn blaming(actions: &[Action<'_>], refusal: Refusal) -> StoreError {
    let place = |write: usize| actions.get(write).map_or(write, |action| action.place);
    let meaning = match refusal.meaning {
        Meaning::Conflict { write } => Meaning::Conflict { write: place(write) },
        other => other,
    };
    Refusal { meaning, ..refusal }.into()
}

fn size(item: &TransactItem) -> usize {
    let counted: &Attributes = match item {
        TransactItem::Put(put) => &put.item,
        TransactItem::Delete(delete) => &delete.key,
        TransactItem::ConditionCheck(check) => &check.key,
    };
    of_attributes(counted)
}

fn another_answer() -> StoreError {
    StoreError::new(StoreErrorKind::Unexpected, "the client answered another operation than was asked")
}
