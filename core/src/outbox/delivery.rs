//! Keeping the promises of the outbox: at least once, by one instance at a time, with growing pauses.

use std::sync::Arc;

use super::messages;
use super::model::{self, Entry, SHARDS, Task};
use crate::App;
use crate::error::Error;
use crate::files;
use crate::ports::mailer::SendError;
use crate::ports::store::{Condition, Query, RangeBound, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, decode_page, put};
use crate::schema::OUTBOX;
use crate::sessions;
use crate::users;

/// Seconds from one try to the next. The first must exceed the time that a mailer or SMS sender may take, for it is
/// also how long an instance that took an entry up has it to itself.
const PAUSES: [i64; 7] = [45, 90, 300, 900, 3_600, 10_800, 21_600];

/// Tries entries right after the answer that promised them. What fails is due again by itself.
pub fn deliver_soon(app: &Arc<App>, message_ids: Vec<String>) {
    let deliverer = Arc::clone(app);
    app.ports.background.spawn(Box::pin(async move {
        let tries = message_ids.iter().map(|id| try_one(&deliverer, id));
        futures::future::join_all(tries).await;
    }));
}

/// Tries whatever is due; returns how many entries that were.
pub async fn drain(app: &Arc<App>) -> usize {
    let counts = futures::future::join_all((0..SHARDS).map(|shard| drain_shard(app, shard))).await;
    counts.into_iter().sum()
}

async fn drain_shard(app: &Arc<App>, shard: u8) -> usize {
    let query = Query::index(&OUTBOX, "shard-due_at-index", shard.to_string())
        .range(RangeBound::AtMost(app.now().to_string()))
        .limit(25);
    let due = match app.ports.store.query(&query).await.and_then(decode_page::<Entry>) {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the outbox could not be read; it is tried again shortly");
            return 0;
        }
    };
    let tries = due.iter().map(|entry| try_one(app, &entry.value.message_id));
    futures::future::join_all(tries).await;
    due.len()
}

async fn try_one(app: &Arc<App>, message_id: &str) {
    if let Err(error) = take_up_and_do(app, message_id).await {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(message_id, code = error.code, source, "an outbox entry could not be handled yet");
    }
}

async fn take_up_and_do(app: &Arc<App>, message_id: &str) -> Result<(), Error> {
    let Some(entry) = take_up(app, message_id).await? else { return Ok(()) };
    let outcome = if is_too_late(app, &entry) {
        Err(SendError::permanent("nobody could send it in time, and it is of no use any more"))
    } else {
        perform(app, &entry).await?
    };
    match outcome {
        Ok(()) => done(app, &entry).await?,
        Err(failure) if !failure.retry || is_last_try(&entry) => {
            let (channel, attempts) = (entry.task.channel(), entry.attempts);
            metrics::counter!("portico_messages_abandoned_total", "channel" => channel).increment(1);
            tracing::error!(message_id, channel, attempts, reason = %failure, "a message was given up");
            done(app, &entry).await?;
        }
        Err(failure) => {
            let (channel, attempts) = (entry.task.channel(), entry.attempts);
            metrics::counter!("portico_messages_retried_total", "channel" => channel).increment(1);
            tracing::warn!(message_id, channel, attempts, reason = %failure, "a message will be retried");
        }
    }
    Ok(())
}

/// Whether the next try would come too late, so that what went wrong this time is what it is given up for.
fn is_last_try(taken_up: &Entry) -> bool {
    taken_up.due_at >= taken_up.useless_after
}

/// Whether an entry is a message whose code, say, has expired. Sessions are ended however late.
fn is_too_late(app: &App, entry: &Entry) -> bool {
    matches!(entry.task, Task::Mail { .. } | Task::Sms { .. }) && app.now() >= entry.useless_after
}

/// Moves a due entry on to its next try, conditionally, so that one instance has it; `None` if another was quicker.
async fn take_up(app: &Arc<App>, message_id: &str) -> Result<Option<Entry>, StoreError> {
    let store = &*app.ports.store;
    let Some(Stored { value: entry, version }) = store.find::<Entry>(&model::key(message_id)).await? else {
        return Ok(None);
    };
    let now = app.now();
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

async fn perform(app: &Arc<App>, entry: &Entry) -> Result<Result<(), SendError>, Error> {
    match &entry.task {
        Task::Nothing => Ok(Ok(())),
        Task::Mail { to, message } => {
            let mail = messages::mail(app, &entry.message_id, to, message);
            Ok(app.ports.mailer.send(&mail).await)
        }
        Task::Sms { to, user_id, nonce } => match &app.ports.sms {
            Some(sender) => Ok(sender.send(&messages::sms(app, &entry.message_id, to, user_id, nonce)).await),
            None => Ok(Err(SendError::temporary("no SMS sender is configured"))),
        },
        Task::EndSessions { user_id, except, began_before } => {
            sessions::ending::end_all(app, user_id, except.as_deref(), *began_before).await?;
            Ok(Ok(()))
        }
        Task::EndSessionsOnDevice { user_id, device_id, began_before } => {
            sessions::ending::end_on_device(app, user_id, device_id, *began_before).await?;
            Ok(Ok(()))
        }
        Task::SweepFile { file_id, object } => {
            files::sweep::sweep(app, file_id, object).await?;
            Ok(Ok(()))
        }
        Task::PurgeUser { user_id, deleted_at } => {
            users::purge::purge(app, user_id, *deleted_at).await?;
            Ok(Ok(()))
        }
    }
}

async fn done(app: &Arc<App>, entry: &Entry) -> Result<(), StoreError> {
    app.ports.store.write(Write::Delete { key: entry.key(), when: Condition::Always }).await
}
