//! Removing files: those that are deleted, alone or with their owner, and those that were never completed.
//!
//! Always in this order: the record is marked, so that nobody downloads or completes it; the bytes go; the record goes,
//! and with it what it counted. Whatever step fails, the outbox goes on from there.

use crate::App;
use crate::auth::access::Caller;
use crate::error::Error;
use crate::files::model::{File, State};
use crate::files::repo::{self, TRIES};
use crate::files::{quota, refuse};
use crate::outbox::model::{Entry, Task};
use crate::ports::blobs::BlobKey;
use crate::ports::store_ext::{Stored, Transaction};

/// When the outbox looks after a deletion that did not go through at once, in seconds.
const SECOND_TRY_SECONDS: i64 = 60;

/// Deletes a file that is the caller's own, or anybody's for an Admin.
///
/// # Errors
/// 404, 503. Once it is marked it is gone for everybody, and its bytes go in any case, if need be a little later.
pub async fn remove(app: &App, caller: &Caller, file_id: &str) -> Result<(), Error> {
    let store = &*app.ports.store;
    for _ in 0..TRIES {
        let stored = repo::get_owned(store, caller, file_id).await?;
        if stored.value.state == State::Deleting || mark(app, &stored).await? {
            finish_later_if_need_be(app, &stored.value).await;
            return Ok(());
        }
    }
    Err(Error::contended())
}

/// Removes a file in whatever state, bytes and all.
///
/// # Errors
/// 503.
pub async fn discard(app: &App, file_id: &str) -> Result<(), Error> {
    for _ in 0..TRIES {
        let Some(stored) = repo::find(&*app.ports.store, file_id).await? else { return Ok(()) };
        if stored.value.state == State::Deleting || mark(app, &stored).await? {
            return finish(app, &stored.value).await;
        }
    }
    Err(Error::contended())
}

/// Drops a file that was not completed, as far as that is possible now; the sweep promised with it does the rest.
pub async fn abandon(app: &App, file: &File) {
    if let Err(error) = sweep(app, &file.file_id, &file.object).await {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(file_id = file.file_id, code = error.code, source, "an upload is cleared away later");
    }
}

/// Keeps the promise made with every upload: a file that is not ready by now goes, and so do bytes without a record,
/// which a presigned URL can bring after a deletion.
///
/// # Errors
/// 503; it is tried again.
pub async fn sweep(app: &App, file_id: &str, object: &str) -> Result<(), Error> {
    match repo::find(&*app.ports.store, file_id).await? {
        None => delete_bytes(app, object).await,
        Some(stored) => match stored.value.state {
            State::Ready => Ok(()),
            State::Deleting => finish(app, &stored.value).await,
            State::Pending => {
                if mark(app, &stored).await? {
                    finish(app, &stored.value).await
                } else {
                    Err(Error::contended())
                }
            }
        },
    }
}

/// Marks a file as being deleted, and promises to see to it; false if somebody else changed it.
async fn mark(app: &App, stored: &Stored<File>) -> Result<bool, Error> {
    let file = File { state: State::Deleting, updated_at: app.now(), ..stored.value.clone() };
    let task = Task::SweepFile { file_id: file.file_id.clone(), object: file.object.clone() };
    let promise = Entry::at(app, app.now().plus_seconds(SECOND_TRY_SECONDS), task)?;
    let mut tx = Transaction::new();
    tx.put(repo::key(&file.file_id), &file, stored.unchanged(), ())?;
    tx.push(promise.promise()?, ());
    Ok(tx.commit(&*app.ports.store).await?.is_ok())
}

async fn finish_later_if_need_be(app: &App, file: &File) {
    if let Err(error) = finish(app, file).await {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(file_id = file.file_id, code = error.code, source, "a deletion is finished later");
    }
}

/// Removes the bytes of a marked file, then its record, giving back what it counted.
async fn finish(app: &App, file: &File) -> Result<(), Error> {
    delete_bytes(app, &file.object).await?;
    for _ in 0..TRIES {
        let Some(stored) = repo::find(&*app.ports.store, &file.file_id).await? else { return Ok(()) };
        let size = stored.value.size;
        let mut tx = Transaction::new();
        tx.delete(repo::key(&file.file_id), stored.unchanged(), ());
        if let Some(write) = quota::give_back(app, &stored.value.uploaded_by_user_id, 1, size).await? {
            tx.push(write, ());
        }
        if tx.commit(&*app.ports.store).await?.is_ok() {
            return Ok(());
        }
    }
    Err(Error::contended())
}

async fn delete_bytes(app: &App, object: &str) -> Result<(), Error> {
    match BlobKey::parse(object) {
        Some(key) => app.ports.blobs.delete(&key).await.map_err(refuse),
        None => {
            tracing::warn!("a file's record names no key that there can be; its bytes, if any, are left");
            Ok(())
        }
    }
}
