//! The end of a deleted account: when it can no longer be restored, everything that was stored about it goes.
//!
//! Its own record goes last, so that whatever fails before is found and done again.

use futures::future::try_join_all;

use crate::App;
use crate::devices::repo as devices;
use crate::error::Error;
use crate::files::model::File;
use crate::files::{quota, repo as files, sweep};
use crate::notifications::repo as notifications;
use crate::outbox::model::{Entry, Task};
use crate::ports::store::{Condition, Key, MAX_WRITES, Query, Write};
use crate::ports::store_ext::{StoreExt, decode};
use crate::sessions::repo as sessions;
use crate::time::Timestamp;
use crate::users::repo;
use crate::verifications::code::Purpose;
use crate::verifications::repo as verifications;

/// How long a deleted account can be restored, in seconds.
pub const RETENTION_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The promise, made with a deletion, to end the account when it can no longer be restored.
///
/// # Errors
/// 503 without randomness.
pub fn promise(app: &App, user_id: &str, deleted_at: Timestamp) -> Result<Entry, Error> {
    let task = Task::PurgeUser { user_id: user_id.to_owned(), deleted_at };
    // A second more: at the last instant it can still be restored.
    Entry::at(app, deleted_at.plus_seconds(RETENTION_SECONDS + 1), task)
}

/// Removes everything of an account that is still deleted since this instant. One that was restored meanwhile stays;
/// if it was deleted again, that made a promise of its own.
///
/// # Errors
/// 503; it is tried again.
pub async fn purge(app: &App, user_id: &str, deleted_at: Timestamp) -> Result<(), Error> {
    let store = &*app.ports.store;
    let user = repo::find(store, user_id).await?;
    let Some(user) = user.filter(|user| user.value.deleted_at == Some(deleted_at)) else { return Ok(()) };
    remove_files(app, user_id).await?;
    let lists = [sessions::of_user(user_id), devices::of_user(user_id), notifications::all_of(user_id)];
    try_join_all(lists.map(|list| remove_all(app, list))).await?;
    let mut last: Vec<Write> = [Purpose::Email, Purpose::Phone, Purpose::Recovery]
        .map(|purpose| remove(verifications::key(user_id, purpose)))
        .into();
    last.push(remove(quota::key(user_id)));
    last.push(Write::Delete { key: repo::key(user_id), when: user.unchanged() });
    store.transact(&last).await?;
    tracing::info!(user_id, "an account was purged after its retention period");
    Ok(())
}

async fn remove_files(app: &App, user_id: &str) -> Result<(), Error> {
    for stored in app.ports.store.query_all(files::of_user(user_id)).await? {
        sweep::discard(app, &decode::<File>(stored)?.value.file_id).await?;
    }
    Ok(())
}

async fn remove_all(app: &App, list: Query) -> Result<(), Error> {
    let (store, table) = (&*app.ports.store, list.table);
    let keys = store.query_all(list).await?.into_iter().filter_map(|stored| Key::of(table, &stored.item));
    let writes: Vec<Write> = keys.map(remove).collect();
    for some in writes.chunks(MAX_WRITES) {
        store.transact(some).await?;
    }
    Ok(())
}

fn remove(key: Key) -> Write {
    Write::Delete { key, when: Condition::Always }
}
