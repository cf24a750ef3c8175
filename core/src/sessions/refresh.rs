//! Refreshing: the present token rotates; the one before it, for a short while, gets the present one again; anything
//! older is a replay, and ends the session (RFC 9700, section 4.14.2).

use std::sync::Arc;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::refresh_token::RefreshToken;
use crate::error::Error;
use crate::http::client::Client;
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::secret::Secret;
use crate::sessions::ending;
use crate::sessions::model::{Session, TokenPair};
use crate::sessions::repo::{self, KEPT_SECONDS};
use crate::time::Timestamp;
use crate::users::model::User;
use crate::users::repo as users;
use base16ct::lower::encode_string as hex;

/// How often a rotation that others overtook is looked at anew.
const TRIES: usize = 8;

/// What a genuine token means.
enum Standing {
    /// It is the present one.
    Present,
    /// It is the one before, and its successor may not have arrived.
    JustReplaced,
    /// It was replaced long ago: somebody has a copy.
    Replayed,
}

/// Exchanges a refresh token.
///
/// # Errors
/// 401 `invalid_refresh_token`, 503.
pub async fn refresh(app: &Arc<App>, client: &Client, token: &Secret) -> Result<TokenPair, Error> {
    match RefreshToken::parse(token) {
        Some(token) => refresh_derived(app, client, &token).await,
        None => refresh_plain(app, client, token).await,
    }
}

async fn refresh_derived(app: &Arc<App>, client: &Client, token: &RefreshToken) -> Result<TokenPair, Error> {
    let store = &*app.ports.store;
    let (mut session, user) =
        futures::try_join!(repo::find(store, &token.session_id), users::find(store, &token.user_id))?;
    let user = user.map(|user| user.value).filter(User::is_enabled).ok_or_else(|| refused(client))?;
    for _ in 0..TRIES {
        let present =
            session.filter(|session| is_usable(app, session, token)).ok_or_else(|| refused(client))?;
        match standing(app, &present.value, token.counter) {
            Standing::JustReplaced => return TokenPair::of(app, &user, &present.value).await,
            Standing::Replayed => return Err(end_replayed(app, client, present).await),
            Standing::Present => {}
        }
        let next = rotated(app, &present.value);
        if replace(app, &present, &next).await? {
            record(&next, client, "refresh", Outcome::Success);
            return TokenPair::of(app, &user, &next).await;
        }
        session = repo::find(store, &token.session_id).await?;
    }
    Err(Error::contended())
}

fn is_usable(app: &App, session: &Stored<Session>, token: &RefreshToken) -> bool {
    let session = &session.value;
    session.enable
        && session.user_id == token.user_id
        && !session.refresh_random.is_empty()
        && token.is_genuine(&app.server_keys.refresh, session.refresh_random.as_bytes())
        && session.refresh_expires_at > app.now()
        && !session.is_too_old(app.settings.session_max_seconds, app.now())
}

fn standing(app: &App, session: &Session, counter: u64) -> Standing {
    let grace = app.settings.refresh_grace_seconds;
    let recent = |rotated: Timestamp| app.now() <= rotated.plus_seconds(grace);
    if counter == session.refresh_counter {
        Standing::Present
    } else if counter.checked_add(1) == Some(session.refresh_counter)
        && session.rotated_at.is_some_and(recent)
    {
        Standing::JustReplaced
    } else {
        Standing::Replayed
    }
}

async fn end_replayed(app: &Arc<App>, client: &Client, session: Stored<Session>) -> Error {
    record(&session.value, client, "refresh_token_replayed", Outcome::Failure);
    match ending::end_one(app, session).await {
        Ok(_) => invalid(),
        Err(error) => error,
    }
}

/// Exchanges a token of the older system, which kept it in clear: accepted once, for a derived one.
async fn refresh_plain(app: &Arc<App>, client: &Client, token: &Secret) -> Result<TokenPair, Error> {
    let text = token.expose();
    if text.is_empty() || text.len() > 1024 {
        return Err(refused(client));
    }
    let store = &*app.ports.store;
    let listed = repo::find_by_plain_token(store, text).await?.ok_or_else(|| refused(client))?;
    let (session, user) = futures::try_join!(
        repo::find(store, &listed.value.session_id),
        users::find(store, &listed.value.user_id)
    )?;
    let user = user.map(|user| user.value).filter(User::is_enabled).ok_or_else(|| refused(client))?;
    let session = session
        .filter(|session| is_plain_usable(app, &session.value, token))
        .ok_or_else(|| refused(client))?;
    let adopted =
        Session { refresh_random: hex(&app.random::<32>()?), refresh_token: None, ..session.value.clone() };
    let next = rotated(app, &adopted);
    if !replace(app, &session, &next).await? {
        return Err(refused(client));
    }
    record(&next, client, "refresh", Outcome::Success);
    TokenPair::of(app, &user, &next).await
}

fn is_plain_usable(app: &App, session: &Session, token: &Secret) -> bool {
    session.enable
        && session.refresh_token.as_deref().is_some_and(|kept| Secret::new(kept) == *token)
        && session.refresh_expires_at > app.now()
}

/// The session with its next refresh token.
fn rotated(app: &App, session: &Session) -> Session {
    let now = app.now();
    let slid = now.plus_seconds(app.settings.refresh_token_seconds);
    let slid = slid.min(session.absolute_end(app.settings.session_max_seconds, now));
    // While the clock is behind, the session must not end earlier than it would have without this refresh.
    let ahead = session.last_used_at.filter(|used| used.is_ahead(now));
    let refresh_expires_at = if ahead.is_some() { session.refresh_expires_at } else { slid };
    Session {
        refresh_counter: session.refresh_counter.saturating_add(1),
        rotated_at: Some(now),
        refresh_expires_at,
        last_used_at: ahead.or(Some(now)),
        updated_at: now,
        purge_at: Some(refresh_expires_at.plus_seconds(KEPT_SECONDS).as_seconds()),
        ..session.clone()
    }
}

async fn replace(app: &App, present: &Stored<Session>, next: &Session) -> Result<bool, Error> {
    let write = put(repo::key(&next.session_id), next, present.unchanged())?;
    match app.ports.store.write(write).await {
        Ok(()) => {
            app.session_cache.forget(&next.session_id);
            Ok(true)
        }
        Err(error) if error.conflicting_write().is_some() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn record(session: &Session, client: &Client, event: &'static str, outcome: Outcome) {
    let entry = Event::of(session, client);
    entry.record(event, outcome);
}

/// The refusal of what is no token, or none any more. What it says of itself is not believed, and not put on record.
fn refused(client: &Client) -> Error {
    Event::of_account(None, client).record("refresh", Outcome::Failure);
    invalid()
}

fn invalid() -> Error {
    Error::wrong_credentials("invalid_refresh_token", "this refresh token is not valid: sign in again")
}
