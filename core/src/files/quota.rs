//! How many files and bytes a user has, counted with every upload that begins, grows or goes.
//!
//! The count changes in the transaction that changes the file's record, so that neither parallel uploads nor failures
//! can pass or lose it. Files of the older system are not in it.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::config::UserQuota;
use crate::error::Error;
use crate::ports::store::{Condition, Key, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::COUNTERS;

/// What a user's files are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Usage {
    counter_id: String,
    files: u64,
    bytes: u64,
}

/// Room taken for a file: the write that takes it, and what is left.
#[derive(Debug)]
pub struct Taken {
    /// Goes into the transaction; overtaken by another, it must be made anew.
    pub write: Write,
    /// Bytes that may still come.
    pub left_bytes: u64,
}

/// Takes room for so many more files and bytes of a user.
///
/// # Errors
/// 413 `quota_exceeded`, the store's.
pub async fn take(app: &App, user_id: &str, files: u64, bytes: u64) -> Result<Taken, Error> {
    let stored = find(app, user_id).await?;
    let UserQuota { bytes: most_bytes, files: most_files } = app.settings.user_quota;
    let usage = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
    let (files, bytes) = (usage.files.saturating_add(files), usage.bytes.saturating_add(bytes));
    if files > most_files || bytes > most_bytes {
        return Err(exceeded(app.settings.user_quota));
    }
    let write = change(user_id, stored.as_ref(), files, bytes)?;
    Ok(Taken { write, left_bytes: most_bytes - bytes })
}

/// The write that gives room back; none if nothing was ever counted.
///
/// # Errors
/// The store's.
pub async fn give_back(
    app: &App,
    user_id: &str,
    files: u64,
    bytes: u64,
) -> Result<Option<Write>, StoreError> {
    let Some(stored) = find(app, user_id).await? else { return Ok(None) };
    let (files, bytes) = (stored.value.files.saturating_sub(files), stored.value.bytes.saturating_sub(bytes));
    change(user_id, Some(&stored), files, bytes).map(Some)
}

/// 413 for what is more than a user may have.
#[must_use]
pub fn exceeded(quota: UserQuota) -> Error {
    let UserQuota { bytes, files } = quota;
    Error::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "quota_exceeded",
        format!("your files may be {files} with {bytes} bytes in all: delete some first"),
    )
}

async fn find(app: &App, user_id: &str) -> Result<Option<Stored<Usage>>, StoreError> {
    app.ports.store.find(&key(user_id)).await
}

/// The key of a user's count.
#[must_use]
pub fn key(user_id: &str) -> Key {
    Key::new(&COUNTERS, format!("files-of#{user_id}"))
}

fn change(
    user_id: &str,
    stored: Option<&Stored<Usage>>,
    files: u64,
    bytes: u64,
) -> Result<Write, StoreError> {
    let key = key(user_id);
    let when = stored.map_or(Condition::Absent, Stored::unchanged);
    put(key.clone(), &Usage { counter_id: key.hash, files, bytes }, when)
}
