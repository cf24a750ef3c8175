//! Notifications in the store: lists, reading, deleting. Making them is in [`super::creation`].

use std::sync::Arc;

use crate::App;
use crate::auth::access::Caller;
use crate::error::Error;
use crate::notifications::model::Notification;
use crate::ports::store::{Condition, Key, Position, Query, Store, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, decode_page, put};
use crate::schema::NOTIFICATIONS;

/// The most unread notifications that a list without pages shows.
pub const MAX_UNPAGED: usize = 1000;

/// How often a change that somebody else overtook is tried anew.
const TRIES: usize = 8;

/// The key of a notification.
#[must_use]
pub fn key(notification_id: &str) -> Key {
    Key::new(&NOTIFICATIONS, notification_id)
}

/// A user's unread notifications, newest first.
#[must_use]
pub fn unread_of(user_id: &str) -> Query {
    Query::index(&NOTIFICATIONS, "unread_of-notification_id-index", user_id).descending()
}

/// All of a user's notifications, newest first.
#[must_use]
pub fn all_of(user_id: &str) -> Query {
    Query::index(&NOTIFICATIONS, "user_id-created_at-index", user_id).descending()
}

/// Reads up to `limit` notifications of a list, and where it goes on.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &dyn Store,
    query: Query,
    limit: usize,
) -> Result<(Vec<Notification>, Option<Position>), StoreError> {
    let (mut query, mut notifications) = (query, Vec::new());
    loop {
        // A page may be short although more follows.
        query.limit = limit - notifications.len();
        let page = store.query(&query).await?;
        query.after = page.next.clone();
        notifications.extend(decode_page::<Notification>(page)?.into_iter().map(|stored| stored.value));
        if notifications.len() >= limit || query.after.is_none() {
            return Ok((notifications, query.after));
        }
    }
}

/// Reads a notification that the caller may see: their own, or anybody's for an Admin.
///
/// # Errors
/// 404, 503.
pub async fn find_owned(
    store: &dyn Store,
    caller: &Caller,
    notification_id: &str,
) -> Result<Stored<Notification>, Error> {
    store
        .find::<Notification>(&key(notification_id))
        .await?
        .filter(|notification| caller.is_self_or_admin(&notification.value.user_id))
        .ok_or_else(Error::not_found)
}

/// Marks a notification read that the caller may see; returns it, and whether it was unread.
///
/// # Errors
/// 404, 409 when others keep changing it, 503.
pub async fn mark_read(
    app: &Arc<App>,
    caller: &Caller,
    notification_id: &str,
) -> Result<(Notification, bool), Error> {
    let store = &*app.ports.store;
    for _ in 0..TRIES {
        let stored = find_owned(store, caller, notification_id).await?;
        if stored.value.readed {
            return Ok((stored.value, false));
        }
        let read = stored.value.read(app.now());
        match store.write(put(key(notification_id), &read, stored.unchanged())?).await {
            Ok(()) => return Ok((read, true)),
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::conflict("conflict", "the notification is being changed by somebody else: retry"))
}

/// Marks all of the caller's unread notifications read; returns how many that were.
///
/// # Errors
/// 409, 503; what was marked until then stays marked.
pub async fn mark_all_read(app: &Arc<App>, caller: &Caller) -> Result<usize, Error> {
    let store = &*app.ports.store;
    // The list may trail, so that it is read on from where it was, not anew.
    let (mut query, mut marked) = (unread_of(&caller.user_id), 0);
    loop {
        let page = store.query(&query).await?;
        query.after = page.next.clone();
        marked += mark_page(app, caller, &decode_page(page)?).await?;
        if query.after.is_none() {
            return Ok(marked);
        }
    }
}

/// Marks notifications as they were listed; one by one where the list turns out to trail.
async fn mark_page(app: &Arc<App>, caller: &Caller, page: &[Stored<Notification>]) -> Result<usize, Error> {
    let now = app.now();
    let writes: Vec<Write> = page
        .iter()
        .map(|stored| put(key(&stored.value.notification_id), &stored.value.read(now), stored.unchanged()))
        .collect::<Result<_, _>>()?;
    match app.ports.store.transact(&writes).await {
        Ok(()) => Ok(page.len()),
        Err(error) if error.conflicting_write().is_some() => mark_each(app, caller, page).await,
        Err(error) => Err(error.into()),
    }
}

async fn mark_each(app: &Arc<App>, caller: &Caller, page: &[Stored<Notification>]) -> Result<usize, Error> {
    let marks = page.iter().map(|stored| mark_read(app, caller, &stored.value.notification_id));
    let mut marked = 0;
    for outcome in futures::future::join_all(marks).await {
        match outcome {
            Ok((_, was_unread)) => marked += usize::from(was_unread),
            // Deleted since it was listed.
            Err(error) if error.status == http::StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    Ok(marked)
}

/// Removes a notification for good that the caller may see.
///
/// # Errors
/// 404, 503.
pub async fn remove(store: &dyn Store, caller: &Caller, notification_id: &str) -> Result<(), Error> {
    find_owned(store, caller, notification_id).await?;
    // Whose it is never changes, so that marking it read in between is no obstacle.
    store.write(Write::Delete { key: key(notification_id), when: Condition::Always }).await?;
    Ok(())
}
