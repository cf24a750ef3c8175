//! Ending sessions: one, all of a user, all on a device.

use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::outbox::model::{Entry, Task};
use crate::ports::store::Condition;
use crate::ports::store_ext::{StoreExt, Stored, decode_page, put};
use crate::sessions::model::Session;
use crate::sessions::repo::{self, KEPT_SECONDS};
use crate::time::Timestamp;

/// How often a change that somebody else overtook is tried anew.
const TRIES: usize = 8;

/// How long after a change the sessions are ended again, in seconds: longer than an index may trail.
const SWEEP_AFTER_SECONDS: i64 = 60;

/// Ends a session; returns whether it was going on.
///
/// # Errors
/// The store's; 409 when others keep changing the session.
pub async fn end_one(app: &Arc<App>, stored: Stored<Session>) -> Result<bool, Error> {
    let mut stored = stored;
    for _ in 0..TRIES {
        if !stored.value.enable {
            return Ok(false);
        }
        let ended = ended(&stored.value, app.now());
        let write = put(repo::key(&ended.session_id), &ended, stored.unchanged())?;
        match app.ports.store.write(write).await {
            Ok(()) => {
                app.session_cache.forget(&ended.session_id);
                return Ok(true);
            }
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => {
                return if has_ended(app, &ended.session_id).await { Ok(true) } else { Err(error.into()) };
            }
        }
        match repo::find(&*app.ports.store, &stored.value.session_id).await? {
            Some(present) => stored = present,
            None => return Ok(false),
        }
    }
    Err(Error::contended())
}

/// Whether a session ended although the answer was lost.
async fn has_ended(app: &App, session_id: &str) -> bool {
    // What is remembered of it is doubtful in any case.
    app.session_cache.forget(session_id);
    let found = repo::find(&*app.ports.store, session_id).await;
    found.is_ok_and(|session| session.is_some_and(|session| !session.value.enable))
}

/// Ends a user's sessions that began at or before an instant, but for one; returns how many went on until now.
///
/// # Errors
/// The store's, or 409; what was ended until then stays ended.
pub async fn end_all(
    app: &Arc<App>,
    user_id: &str,
    except: Option<&str>,
    began_before: Timestamp,
) -> Result<usize, Error> {
    end_where(app, user_id, |session| {
        began_by(app, session, began_before) && except != Some(session.session_id.as_str())
    })
    .await
}

/// Ends a user's sessions on a device that began at or before an instant; returns how many went on until now.
///
/// # Errors
/// As [`end_all`].
pub async fn end_on_device(
    app: &Arc<App>,
    user_id: &str,
    device_id: &str,
    began_before: Timestamp,
) -> Result<usize, Error> {
    end_where(app, user_id, |session| began_by(app, session, began_before) && session.device_id == device_id)
        .await
}

/// Whether a session began by an instant. One that will only begin did so before the clock was set back.
fn began_by(app: &App, session: &Session, instant: Timestamp) -> bool {
    session.created_at <= instant || session.created_at.is_ahead(app.now())
}

async fn end_where(
    app: &Arc<App>,
    user_id: &str,
    chosen: impl Fn(&Session) -> bool + Send + Sync,
) -> Result<usize, Error> {
    let (mut after, mut ended) = (None, 0);
    loop {
        let page = repo::page_of_user(&*app.ports.store, user_id, after).await?;
        after = page.next.clone();
        let sessions: Vec<Stored<Session>> = decode_page(page)?;
        let live = sessions.into_iter().filter(|session| session.value.enable && chosen(&session.value));
        let outcomes = futures::future::join_all(live.map(|session| end_one(app, session))).await;
        for outcome in outcomes {
            ended += usize::from(outcome?);
        }
        if after.is_none() {
            return Ok(ended);
        }
    }
}

/// Ends the sessions that a promise is about, now that the change is committed that it was written with. The change
/// stands whatever happens here: what cannot be ended now, the promise ends.
///
/// # Behavior
/// Until the commit a session could begin, later than the promise knew of. All that began by now are ended, and the
/// promise is made anew for them: where the index trails, it is what finds them.
pub async fn fulfil(app: &Arc<App>, promise: Entry) {
    let now = app.now();
    let promise = Entry { task: promise.task.for_sessions_until(now), ..promise };
    let (renewed, ended) = futures::join!(renew(app, &promise), end_promised(app, &promise.task));
    if let Err(error) = renewed.and(ended) {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(code = error.code, source, "sessions are ended a little later");
    }
}

async fn renew(app: &Arc<App>, promise: &Entry) -> Result<(), Error> {
    match app.ports.store.write(put(promise.key(), promise, Condition::Present)?).await {
        // Kept already, by whoever was a minute ahead.
        Err(error) if error.conflicting_write().is_some() => Ok(()),
        outcome => Ok(outcome?),
    }
}

async fn end_promised(app: &Arc<App>, task: &Task) -> Result<(), Error> {
    match task {
        Task::EndSessions { user_id, except, began_before } => {
            end_all(app, user_id, except.as_deref(), *began_before).await?;
        }
        Task::EndSessionsOnDevice { user_id, device_id, began_before } => {
            end_on_device(app, user_id, device_id, *began_before).await?;
        }
        _ => {}
    }
    Ok(())
}

/// The promise to end sessions again a little later, to be written with the change that ends them. It catches a session
/// that the index did not show yet, and a crash between the change and its consequence.
///
/// # Errors
/// 503 without randomness.
pub fn sweep(
    app: &App,
    user_id: &str,
    except: Option<&str>,
    began_before: Timestamp,
) -> Result<Entry, Error> {
    let task =
        Task::EndSessions { user_id: user_id.to_owned(), except: except.map(str::to_owned), began_before };
    Entry::at(app, app.now().plus_seconds(SWEEP_AFTER_SECONDS), task)
}

/// The same promise for the sessions on a device. One that begins later, on the device brought back, goes on.
///
/// # Errors
/// 503 without randomness.
pub fn sweep_device(
    app: &App,
    user_id: &str,
    device_id: &str,
    began_before: Timestamp,
) -> Result<Entry, Error> {
    let task = Task::EndSessionsOnDevice {
        user_id: user_id.to_owned(),
        device_id: device_id.to_owned(),
        began_before,
    };
    Entry::at(app, app.now().plus_seconds(SWEEP_AFTER_SECONDS), task)
}

/// A session's record once it has ended: nothing is left from which a refresh token could be made.
#[must_use]
pub fn ended(session: &Session, now: Timestamp) -> Session {
    Session {
        enable: false,
        refresh_random: String::new(),
        refresh_token: None,
        updated_at: now,
        purge_at: Some(now.plus_seconds(KEPT_SECONDS).as_seconds()),
        ..session.clone()
    }
}
