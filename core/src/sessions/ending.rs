//! Ending sessions: one, all of a user, all on a device.

use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::outbox::model::{Entry, Task};
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

/// Ends a user's sessions, but for one, after a change that was committed together with [`sweep`]. The change stands
/// whatever happens here: what cannot be ended now, that promise ends.
pub async fn end_promised(app: &Arc<App>, user_id: &str, except: Option<&str>) {
    // Until the change was committed a session could still begin, later than the change says.
    report(user_id, end_all(app, user_id, except, app.now()).await);
}

/// The same for the sessions on a device, after [`sweep_device`].
pub async fn end_on_device_promised(app: &Arc<App>, user_id: &str, device_id: &str, began_before: Timestamp) {
    report(user_id, end_on_device(app, user_id, device_id, began_before).await);
}

fn report(user_id: &str, outcome: Result<usize, Error>) {
    if let Err(error) = outcome {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::warn!(user_id, code = error.code, source, "sessions are ended a little later");
    }
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
        session.created_at <= began_before && except != Some(session.session_id.as_str())
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
    end_where(app, user_id, |session| session.created_at <= began_before && session.device_id == device_id)
        .await
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
