//! Statuses in the store. The table is small and read whole.

use crate::error::Error;
use crate::ports::store::{Condition, Key, Query, Store, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, decode, put};
use crate::schema::STATUSES;
use crate::statuses::model::Status;

/// The key of a status.
#[must_use]
pub fn key(status_id: &str) -> Key {
    Key::new(&STATUSES, status_id)
}

/// Reads a status that must exist.
///
/// # Errors
/// 404, 503.
pub async fn get(store: &dyn Store, status_id: &str) -> Result<Stored<Status>, Error> {
    store.find(&key(status_id)).await?.ok_or_else(Error::not_found)
}

/// Reads all statuses, in no particular order.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn Store) -> Result<Vec<Status>, StoreError> {
    let items = store.query_all(Query::whole(&STATUSES)).await?;
    items.into_iter().map(|item| decode(item).map(|stored| stored.value)).collect()
}

/// Stores a new status.
///
/// # Errors
/// The store's.
pub async fn create(store: &dyn Store, status: &Status) -> Result<(), StoreError> {
    let key = key(&status.status_id);
    store.transact_witnessed(&[put(key.clone(), status, Condition::Absent)?], &key).await
}

/// Stores a status under a condition.
///
/// # Errors
/// The store's; a conflict when the condition does not hold.
pub async fn save(store: &dyn Store, status: &Status, when: Condition) -> Result<(), StoreError> {
    store.write(put(key(&status.status_id), status, when)?).await
}

/// Removes a status for good.
///
/// # Errors
/// The store's; a conflict when it is gone already, or changed since it was read.
pub async fn remove(store: &dyn Store, status: &Stored<Status>) -> Result<(), StoreError> {
    store.write(Write::Delete { key: key(&status.value.status_id), when: status.unchanged() }).await
}
