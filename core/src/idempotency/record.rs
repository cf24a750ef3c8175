//! The record of a key in the store: first that its request is under way, then the answer.

use std::fmt;

use base16ct::lower::encode_string as hex;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::sealed::{self, Answer};
use crate::App;
use crate::error::Error;
use crate::ports::store::{Condition, Key, StoreErrorKind, Write};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::COUNTERS;

/// After how many seconds a request that never ended, because the server died, frees its key.
pub const LEASE: i64 = 60;

/// The same for uploads that stream.
pub const LONG_LEASE: i64 = 15 * 60;

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// How often a record that appears or goes at the same moment is looked at anew.
const TRIES: usize = 4;

/// What is known of a key. It expires when its lease, or the time that its answer is kept, is over.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    counter_id: String,
    fingerprint: String,
    /// Tells one run under the key from the next.
    run: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    expires_at: i64,
}

/// A request that is under way under a key.
#[derive(Debug)]
pub struct Run {
    record: Record,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Start {
    /// Do it.
    Run(Run),
    /// Give this answer again.
    Replay(Answer),
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Notes that a request is under way, unless it was before.
///
/// # Errors
/// 409 `request_in_flight`, 422 `idempotency_key_reused`, 503.
pub async fn start(app: &App, id: &str, fingerprint: &str, lease: i64) -> Result<Start, Error> {
    let run = hex(&app.random::<16>()?);
    let record = Record {
        counter_id: id.to_owned(),
        fingerprint: fingerprint.to_owned(),
        run,
        answer: None,
        expires_at: app.now().plus_seconds(lease).as_seconds(),
    };
    for _ in 0..TRIES {
        let unknown = match app.ports.store.write(put(key(id), &record, Condition::Absent)?).await {
            Ok(()) => return Ok(Start::Run(Run { record })),
            Err(error) if error.conflicting_write().is_some() => None,
            Err(error) if error.kind == StoreErrorKind::Unavailable => Some(error),
            Err(error) => return Err(error.into()),
        };
        match app.ports.store.find::<Record>(&key(id)).await? {
            // Written although the answer was lost: left alone, it would hold the key until its lease is over.
            Some(own) if own.value.run == record.run => return Ok(Start::Run(Run { record })),
            Some(earlier) => return again(app, &earlier.value, fingerprint),
            None => {}
        }
        if let Some(error) = unknown {
            return Err(error.into());
        }
    }
    Err(in_flight(1))
}

/// Keeps the answer of a run.
///
/// # Errors
/// The store's.
pub async fn finish(app: &App, run: &Run, answer: &Answer) -> Result<(), Error> {
    let Some(stored) = own(app, run).await? else { return Ok(()) };
    let sealed = sealed::seal(app, &run.record.counter_id, answer)?;
    let expires_at = app.now().plus_seconds(KEPT_SECONDS).as_seconds();
    let record = Record { answer: Some(sealed), expires_at, ..run.record.clone() };
    app.ports.store.write(put(key(&record.counter_id), &record, stored.unchanged())?).await?;
    Ok(())
}

/// Frees the key of a run whose answer is not kept.
///
/// # Errors
/// The store's.
pub async fn free(app: &App, run: &Run) -> Result<(), Error> {
    let Some(stored) = own(app, run).await? else { return Ok(()) };
    let key = key(&run.record.counter_id);
    app.ports.store.write(Write::Delete { key, when: stored.unchanged() }).await?;
    Ok(())
}

/// The record of a run, unless its lease is over and another took the key.
async fn own(app: &App, run: &Run) -> Result<Option<Stored<Record>>, Error> {
    let stored = app.ports.store.find::<Record>(&key(&run.record.counter_id)).await?;
    Ok(stored.filter(|stored| stored.value.run == run.record.run))
}

fn again(app: &App, earlier: &Record, fingerprint: &str) -> Result<Start, Error> {
    if earlier.fingerprint != fingerprint {
        return Err(reused());
    }
    match &earlier.answer {
        Some(answer) => sealed::open(app, &earlier.counter_id, answer).map(Start::Replay),
        None => Err(in_flight(
            earlier.expires_at.saturating_sub(app.now().as_seconds()).clamp(1, 5).unsigned_abs(),
        )),
    }
}

fn key(id: &str) -> Key {
    Key::new(&COUNTERS, id)
}

fn in_flight(retry_after: u64) -> Error {
    Error {
        retry_after: Some(retry_after),
        ..Error::conflict(
            "request_in_flight",
            "the first request with this idempotency key is still under way",
        )
    }
}

/// 422 for a key that belongs to another request.
pub(super) fn reused() -> Error {
    Error::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this idempotency key was used for another request: use a new one",
    )
}
