//! Sessions in the store.

use crate::App;
use crate::ports::store::{Key, Page, Position, Query, Store, StoreError};
use crate::ports::store_ext::{StoreExt, Stored, decode};
use crate::schema::SESSIONS;
use crate::sessions::model::Session;

/// How long the record of an ended session is kept, in seconds.
pub const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The key of a session.
#[must_use]
pub fn key(session_id: &str) -> Key {
    Key::new(&SESSIONS, session_id)
}

/// A user's sessions, in no particular order.
#[must_use]
pub fn of_user(user_id: &str) -> Query {
    Query::index(&SESSIONS, "user_id-index", user_id)
}

/// Reads a session.
///
/// # Errors
/// The store's.
pub async fn find(store: &dyn Store, session_id: &str) -> Result<Option<Stored<Session>>, StoreError> {
    store.find(&key(session_id)).await
}

/// Reads a session, perhaps as it was up to `SESSION_CACHE_SECONDS` ago.
///
/// # Errors
/// The store's.
pub async fn find_cached(app: &App, session_id: &str) -> Result<Option<Session>, StoreError> {
    if let Some(session) = app.session_cache.get(session_id, app.now()) {
        return Ok(Some(session));
    }
    let session = find(&*app.ports.store, session_id).await?.map(|stored| stored.value);
    if let Some(session) = &session {
        app.session_cache.put(session, app.now());
    }
    Ok(session)
}

/// Reads the session that holds a refresh token of the older system.
///
/// # Errors
/// The store's.
pub async fn find_by_plain_token(
    store: &dyn Store,
    token: &str,
) -> Result<Option<Stored<Session>>, StoreError> {
    let query = Query::index(&SESSIONS, "refresh_token-index", token).limit(1);
    store.query(&query).await?.items.into_iter().next().map(decode).transpose()
}

/// Reads one page of a user's sessions, ended ones too.
///
/// # Errors
/// The store's.
pub async fn page_of_user(
    store: &dyn Store,
    user_id: &str,
    after: Option<Position>,
) -> Result<Page, StoreError> {
    store.query(&of_user(user_id).after(after)).await
}

/// Reads all of a user's sessions that go on.
///
/// # Errors
/// The store's.
pub async fn list_live(store: &dyn Store, user_id: &str) -> Result<Vec<Session>, StoreError> {
    let items = store.query_all(of_user(user_id)).await?;
    let sessions: Vec<Stored<Session>> = items.into_iter().map(decode).collect::<Result<_, _>>()?;
    Ok(sessions.into_iter().map(|stored| stored.value).filter(|session| session.enable).collect())
}
