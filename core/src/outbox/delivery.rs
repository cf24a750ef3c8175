//! Keeping the promises of an outbox: at least once, by one instance at a time, with growing pauses.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::model::{self, Entry, SHARDS};
use crate::error::Error;
use crate::ports::background::Background;
use crate::ports::mailer::SendError;
use crate::ports::store::{Condition, Query, RangeBound, Store, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, decode_page, put};
use crate::schema::OUTBOX;
use crate::time::Timestamp;

/// Seconds from one try to the next. The first must exceed the time that a mailer or SMS sender may take, for it is
/// also how long an instance that took an entry up has it to itself.
const PAUSES: [i64; 7] = [45, 90, 300, 900, 3_600, 10_800, 21_600];

/// Where entries are, and what it takes to do them.
pub trait Outbox: Send + Sync + 'static {
    /// What an entry asks for.
    type Task: Serialize + DeserializeOwned + Send + Sync;

    /// Holds the entries.
    fn store(&self) -> &dyn Store;

    /// Runs what is tried right after an answer.
    fn background(&self) -> &dyn Background;

    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Whether an entry is given up, untried, once it is of no use any more. Others are done however late.
    fn lapses(task: &Self::Task) -> bool;

    /// By which way it leaves, for logs and metrics: `email` or `sms`; `none` if it is no message.
    fn channel(task: &Self::Task) -> &'static str;

    /// Does what an entry asks for, once.
    ///
    /// # Behavior
    /// The inner result tells whether a message was sent; it decides between done, given up and tried again.
    ///
    /// # Errors
    /// What is in the way of trying at all; it is tried again.
    fn perform(
        self: &Arc<Self>,
        entry: &Entry<Self::Task>,
    ) -> impl Future<Output = Result<Result<(), SendError>, Error>> + Send;
}

/// Tries entries right after the answer that promised them. What fails is due again by itself.
pub fn deliver_soon<O: Outbox>(outbox: &Arc<O>, message_ids: Vec<String>) {
    let deliverer = Arc::clone(outbox);
    outbox.background().spawn(Box::pin(async move {
        let tries = message_ids.iter().map(|id| try_one(&deliverer, id));
        futures::future::join_all(tries).await;
    }));
}

/// Tries whatever is due; returns how many entries that were.
pub async fn drain<O: Outbox>(outbox: &Arc<O>) -> usize {
    let counts = futures::future::join_all((0..SHARDS).map(|shard| drain_shard(outbox, shard))).await;
    counts.into_iter().sum()
}

async fn drain_shard<O: Outbox>(outbox: &Arc<O>, shard: u8) -> usize {
    let query = Query::index(&OUTBOX, "shard-due_at-index", shard.to_string())
        .range(RangeBound::AtMost(outbox.now().to_string()))
        .limit(25);
    let due = match outbox.store().query(&query).await.and_then(decode_page::<Entry<O::Task>>) {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the outbox could not be read; it is tried again shortly");
            return 0;
        }
    };
    let tries = due.iter().map(|entry| try_one(outbox, &entry.value.message_id));
    futures::future::join_all(tries).await;
    due.len()
}

async fn try_one<O: Outbox>(outbox: &Arc<O>, message_id: &str) {
    if let Err(error) = take_up_and_do(outbox, message_id).await {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(message_id, code = error.code, source, "an outbox entry could not be handled yet");
    }
}

async fn take_up_and_do<O: Outbox>(outbox: &Arc<O>, message_id: &str) -> Result<(), Error> {
    let Some(entry) = take_up(&**outbox, message_id).await? else { return Ok(()) };
    let (channel, attempts) = (O::channel(&entry.task), entry.attempts);
    let outcome = if is_too_late(&**outbox, &entry) {
        Err(SendError::permanent("nobody could send it in time, and it is of no use any more"))
    } else {
        outbox.perform(&entry).await?
    };
    match outcome {
        Ok(()) => done(&**outbox, &entry).await?,
        Err(failure) if !failure.retry || is_last_try(&entry) => {
            metrics::counter!("portico_messages_abandoned_total", "channel" => channel).increment(1);
            tracing::error!(message_id, channel, attempts, reason = %failure, "a message was given up");
            done(&**outbox, &entry).await?;
        }
        Err(failure) => {
            metrics::counter!("portico_messages_retried_total", "channel" => channel).increment(1);
            tracing::warn!(message_id, channel, attempts, reason = %failure, "a message will be retried");
        }
    }
    Ok(())
}

/// Whether the next try would come too late, so that what went wrong this time is what it is given up for.
fn is_last_try<T>(taken_up: &Entry<T>) -> bool {
    taken_up.due_at >= taken_up.useless_after
}

/// Whether an entry is a message whose code, say, has expired.
fn is_too_late<O: Outbox>(outbox: &O, entry: &Entry<O::Task>) -> bool {
    O::lapses(&entry.task) && outbox.now() >= entry.useless_after
}

/// Moves a due entry on to its next try, conditionally, so that one instance has it; `None` if another was quicker.
async fn take_up<O: Outbox>(outbox: &O, message_id: &str) -> Result<Option<Entry<O::Task>>, StoreError> {
    let store = outbox.store();
    let Some(Stored { value: entry, version }) =
        store.find::<Entry<O::Task>>(&model::key(message_id)).await?
    else {
        return Ok(None);
    };
    let now = outbox.now();
    if entry.due_at > now {
        return Ok(None);
    }
    let pause = PAUSES.get(entry.attempts as usize).or(PAUSES.last()).copied().unwrap_or(60);
    let taken = Entry { due_at: now.plus_seconds(pause), attempts: entry.attempts + 1, ..entry };
    match store.write(put(taken.key(), &taken, Condition::At(version))?).await {
        Ok(()) => Ok(Some(taken)),
        Err(error) if error.conflicting_write().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn done<O: Outbox>(outbox: &O, entry: &Entry<O::Task>) -> Result<(), StoreError> {
    outbox.store().write(Write::Delete { key: entry.key(), when: Condition::Always }).await
}
