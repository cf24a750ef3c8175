//! Signing in with a name and a password.
//!
//! An unknown name, a wrong password, a disabled and a deleted account get the same answer after the same work: one
//! look-up by index and one by claim, one hash, one failure counted.

use std::sync::Arc;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::password::{HashOutcome, HashWork, Password};
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::client::Client;
use crate::ports::store::{Condition, StoreError};
use crate::ports::store_ext::{Stored, Transaction};
use crate::sessions::failures::{self, Account, Attempt, Failures};
use crate::sessions::model::Begun;
use crate::sessions::opening::{self, Opening};
use crate::users::model::User;
use crate::users::repo::{self as users, LoginName, Obstacle};

/// How often a record that changed in between is looked at anew.
const TRIES: usize = 4;

/// A name and a password.
#[derive(Debug)]
pub struct Credentials {
    /// A username or an e-mail address.
    pub login: String,
    /// The password.
    pub password: Password,
    /// The device.
    pub device_uuid: Option<DeviceUuid>,
}

/// Signs in.
///
/// # Errors
/// 401 `invalid_credentials`, 429 `too_many_attempts`, 503.
pub async fn sign_in(
    app: &Arc<App>,
    client: &Client,
    credentials: &Credentials,
) -> Result<(User, Begun), Error> {
    let name = LoginName::parse(&credentials.login);
    let (found, in_index) = find(app, name.as_ref()).await?;
    let account = match &found {
        Some(user) => Account::Known(&user.value.user_id),
        None => Account::Unknown(&credentials.login),
    };
    let attempt = Attempt { account, client, device_uuid: credentials.device_uuid.as_ref() };
    let verified = compare(app, found.as_ref().map(|user| &user.value), &credentials.password).await?;
    let (user, verified) = match verified {
        HashOutcome::Differs if in_index => {
            look_again(app, name.as_ref(), found.as_ref(), &credentials.password).await?
        }
        verified => (found.clone(), verified),
    };
    let (Some(user), HashOutcome::Matches { outdated }) = (user, verified) else {
        return Err(refuse(app, &attempt).await);
    };
    let begun = begin(app, client, credentials, user.clone(), outdated, &attempt).await;
    let (user, begun) = begun.inspect_err(|error| {
        if error.status.is_client_error() {
            let event =
                Event { user_id: Some(&user.value.user_id), addr: Some(client.addr), ..Event::default() };
            event.record("sign_in", Outcome::Failure);
        }
    })?;
    let event = Event::of(&begun.session, client);
    event.record("sign_in", Outcome::Success);
    Ok((user, begun))
}

/// The account that may be signed in to, and whether the index showed one of that name. The index may trail: what it
/// does not show is looked up by its claim.
async fn find(app: &App, name: Option<&LoginName>) -> Result<(Option<Stored<User>>, bool), StoreError> {
    let Some(name) = name else { return Ok((None, false)) };
    let store = &*app.ports.store;
    let indexed = name.find_by_index(store).await?;
    let in_index = indexed.is_some();
    let found = if in_index { indexed } else { name.find_by_claim(store).await? };
    Ok((found.filter(|user| user.value.is_enabled()), in_index))
}

/// Compares the password; for an account that has none the same work is done in vain.
async fn compare(app: &App, user: Option<&User>, password: &Password) -> Result<HashOutcome, Error> {
    let (password, params) = (password.clone(), app.settings.password_hash);
    let work = match user.and_then(|user| user.password_hash.clone()) {
        Some(hash) => HashWork::Verify { password, hash, params },
        None => HashWork::Decoy { password, params },
    };
    Ok(app.ports.hasher.run(work).await?)
}

/// After a wrong password: the index may show the account with the password that it had before. An unknown name took a
/// second look-up, by claim; one that the index knows takes it here, whatever comes of it.
async fn look_again(
    app: &App,
    name: Option<&LoginName>,
    listed: Option<&Stored<User>>,
    password: &Password,
) -> Result<(Option<Stored<User>>, HashOutcome), Error> {
    let store = &*app.ports.store;
    let Some(listed) = listed else {
        // Disabled or deleted.
        if let Some(name) = name {
            name.find_owner(store).await?;
        }
        return Ok((None, HashOutcome::Differs));
    };
    let now = users::find(store, &listed.value.user_id).await?.filter(|now| now.value.is_enabled());
    let changed = now.filter(|now| now.value.password_hash != listed.value.password_hash);
    match changed {
        Some(now) => {
            let verified = compare(app, Some(&now.value), password).await?;
            Ok((Some(now), verified))
        }
        None => Ok((Some(listed.clone()), HashOutcome::Differs)),
    }
}

async fn refuse(app: &Arc<App>, attempt: &Attempt<'_>) -> Error {
    let user_id = match attempt.account {
        Account::Known(user_id) => Some(user_id),
        Account::Unknown(_) => None,
    };
    let event = Event::of_account(user_id, attempt.client);
    event.record("sign_in", Outcome::Failure);
    match failures::count(app, attempt).await {
        Ok(()) => Error::wrong_credentials("invalid_credentials", "the name or the password is wrong"),
        Err(error) => error,
    }
}

/// Begins the session, with the user's record unchanged since the password was compared with it.
async fn begin(
    app: &Arc<App>,
    client: &Client,
    credentials: &Credentials,
    user: Stored<User>,
    outdated: bool,
    attempt: &Attempt<'_>,
) -> Result<(User, Begun), Error> {
    let user_id = user.value.user_id.clone();
    let opening = Opening::new(app, &user_id, client, credentials.device_uuid.clone())?;
    let upgraded = if outdated { Some(hash(app, &credentials.password).await?) } else { None };
    let (mut user, mut on_record): (_, Option<Stored<Failures>>) = (user, None);
    for _ in 0..TRIES {
        let changed = upgraded.as_ref().map(|hash| User {
            password_hash: Some(hash.clone()),
            updated_at: app.now(),
            ..user.value.clone()
        });
        let prepare = |tx: &mut Transaction<Obstacle>| {
            match &changed {
                Some(changed) => users::put_changed(tx, &user, changed)?,
                None => {
                    tx.check(users::key(&user.value.user_id), user.unchanged(), Obstacle::Changed);
                }
            }
            let failures = failures::key(app, Account::Known(&user.value.user_id));
            match &on_record {
                Some(stored) => tx.delete(failures, stored.unchanged(), Obstacle::FailuresOnRecord),
                None => tx.check(failures, Condition::Absent, Obstacle::FailuresOnRecord),
            };
            Ok(())
        };
        let signed_in = changed.as_ref().unwrap_or(&user.value);
        match opening::open(app, &opening, signed_in, prepare).await? {
            Ok(begun) => return Ok((changed.unwrap_or(user.value), begun)),
            Err(Obstacle::FailuresOnRecord) => {
                on_record = failures::find(app, attempt.account).await?;
                failures::refuse_if_locked(app, attempt, on_record.as_ref().map(|stored| &stored.value))
                    .await?;
            }
            Err(_) => user = reread(app, &user).await?,
        }
    }
    Err(Error::contended())
}

/// The record as it is now, if the password that was compared is still its own.
async fn reread(app: &App, user: &Stored<User>) -> Result<Stored<User>, Error> {
    users::find(&*app.ports.store, &user.value.user_id)
        .await?
        .filter(|now| now.value.is_enabled() && now.value.password_hash == user.value.password_hash)
        .ok_or_else(|| Error::wrong_credentials("invalid_credentials", "the name or the password is wrong"))
}

/// Makes the current hash of a password.
///
/// # Errors
/// 503 when too much hashing is queued.
pub async fn hash(app: &App, password: &Password) -> Result<String, Error> {
    let salt = app.random()?;
    let work = HashWork::Hash { password: password.clone(), salt, params: app.settings.password_hash };
    match app.ports.hasher.run(work).await? {
        HashOutcome::Hashed(phc) => Ok(phc),
        _ => Err(Error::unavailable("busy", "the password could not be stored: try again", 1)),
    }
}

/// Tells whether a password is a signed-in user's own. A wrong one counts as a failed sign-in, so that a stolen session
/// is no way to guess the password.
///
/// # Errors
/// 429 when too many failed, 503 when too much hashing is queued.
pub async fn is_own(
    app: &Arc<App>,
    client: &Client,
    user: &User,
    password: &Password,
) -> Result<bool, Error> {
    let attempt = Attempt { account: Account::Known(&user.user_id), client, device_uuid: None };
    let failed = failures::find(app, attempt.account).await?;
    failures::refuse_if_locked(app, &attempt, failed.as_ref().map(|stored| &stored.value)).await?;
    if matches!(compare(app, Some(user), password).await?, HashOutcome::Matches { .. }) {
        return Ok(true);
    }
    failures::count(app, &attempt).await?;
    Ok(false)
}
