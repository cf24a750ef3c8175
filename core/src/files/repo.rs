//! Files in the store: finding those that a caller may see, and the steps from pending to ready.
//! Removing them is in [`super::sweep`].

use crate::App;
use crate::auth::access::Caller;
use crate::error::Error;
use crate::files::model::{File, State};
use crate::files::quota;
use crate::outbox::model::{Entry, Task};
use crate::ports::store::{Condition, Key, Position, Query, Store, StoreError};
use crate::ports::store_ext::{StoreExt, Stored, Transaction, decode_page};
use crate::schema::FILES;
use crate::time::Timestamp;

/// How often a change that another upload of the same user overtook is tried anew.
pub(super) const TRIES: usize = 32;

/// The key of a file.
#[must_use]
pub fn key(file_id: &str) -> Key {
    Key::new(&FILES, file_id)
}

/// A user's files, in no particular order.
#[must_use]
pub fn of_user(user_id: &str) -> Query {
    Query::index(&FILES, "uploaded_by_user_id-index", user_id)
}

/// Reads up to `limit` downloadable files of a list, and where it goes on.
///
/// # Errors
/// The store's.
pub async fn list(
    store: &dyn Store,
    query: Query,
    limit: usize,
) -> Result<(Vec<File>, Option<Position>), StoreError> {
    let (mut query, mut files) = (query, Vec::new());
    loop {
        // A page may be short although more follows, and some of it may not be shown.
        query.limit = limit - files.len();
        let page = store.query(&query).await?;
        query.after = page.next.clone();
        let found = decode_page::<File>(page)?.into_iter().map(|stored| stored.value);
        files.extend(found.filter(File::is_downloadable));
        if files.len() >= limit || query.after.is_none() {
            return Ok((files, query.after));
        }
    }
}

/// Reads a file in whatever state.
///
/// # Errors
/// The store's.
pub async fn find(store: &dyn Store, file_id: &str) -> Result<Option<Stored<File>>, StoreError> {
    store.find(&key(file_id)).await
}

/// Reads a downloadable file that the caller may see: a public one, their own, or anybody's for an Admin.
///
/// # Errors
/// 404, 503.
pub async fn get_visible(store: &dyn Store, caller: &Caller, file_id: &str) -> Result<File, Error> {
    let file = find(store, file_id).await?.map(|stored| stored.value).filter(File::is_downloadable);
    file.filter(|file| !file.is_private || caller.is_self_or_admin(&file.uploaded_by_user_id))
        .ok_or_else(Error::not_found)
}

/// Reads a file in whatever state that is the caller's own, or anybody's for an Admin.
///
/// # Errors
/// 404, 503.
pub async fn get_owned(store: &dyn Store, caller: &Caller, file_id: &str) -> Result<Stored<File>, Error> {
    let file = find(store, file_id).await?;
    file.filter(|file| caller.is_self_or_admin(&file.value.uploaded_by_user_id)).ok_or_else(Error::not_found)
}

/// Stores a pending file, takes the room that it needs, and promises to sweep it from an instant on; returns how many
/// bytes its owner has left.
///
/// # Errors
/// 413 `quota_exceeded`, 503.
pub async fn begin(app: &App, file: &File, sweep_at: Timestamp) -> Result<u64, Error> {
    let task = Task::SweepFile { file_id: file.file_id.clone(), object: file.object.clone() };
    let sweep = Entry::at(app, sweep_at, task)?.promise()?;
    for _ in 0..TRIES {
        let taken = quota::take(app, &file.uploaded_by_user_id, 1, file.size).await?;
        let mut tx = Transaction::new();
        tx.put(key(&file.file_id), file, Condition::Absent, ())?;
        tx.push(taken.write, ()).push(sweep.clone(), ()).witness(key(&file.file_id));
        if tx.commit(&*app.ports.store).await?.is_ok() {
            return Ok(taken.left_bytes);
        }
    }
    Err(Error::contended())
}

/// Makes a pending file ready, now that its bytes are there; takes the room that they need beyond what was reserved.
///
/// # Errors
/// 404 if it was swept or deleted meanwhile, 413 `quota_exceeded`, 503.
pub async fn finish(app: &App, file: &File) -> Result<File, Error> {
    for _ in 0..TRIES {
        let stored = find(&*app.ports.store, &file.file_id).await?;
        let pending =
            stored.filter(|stored| stored.value.state == State::Pending).ok_or_else(Error::not_found)?;
        let ready = File { state: State::Ready, updated_at: app.now(), ..file.clone() };
        let mut tx = Transaction::new();
        tx.put(key(&ready.file_id), &ready, pending.unchanged(), ())?;
        let more = ready.size.saturating_sub(pending.value.size);
        if more > 0 {
            tx.push(quota::take(app, &ready.uploaded_by_user_id, 0, more).await?.write, ());
        }
        match tx.commit(&*app.ports.store).await {
            Ok(Ok(())) => return Ok(ready),
            Ok(Err(())) => {}
            Err(error) => return if is_stored(app, &ready).await { Ok(ready) } else { Err(error.into()) },
        }
    }
    Err(Error::contended())
}

/// Whether a file became ready although the answer was lost.
async fn is_stored(app: &App, ready: &File) -> bool {
    let found = find(&*app.ports.store, &ready.file_id).await;
    found.is_ok_and(|stored| stored.is_some_and(|stored| stored.value == *ready))
}
