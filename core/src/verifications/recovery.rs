//! Recovering an account with a code sent to its e-mail address.
//!
//! An address without an account goes the same way as one that has one: a verification is stored for what stands for
//! it, and an entry is put into the outbox that sends nothing.

use std::sync::Arc;

use base16ct::lower::encode_string as hex;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::mac;
use crate::auth::password::Password;
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::client::Client;
use crate::outbox::delivery;
use crate::outbox::model::{Entry, MailMessage, Task};
use crate::ports::store::Condition;
use crate::ports::store_ext::{Stored, Transaction};
use crate::secret::Secret;
use crate::sessions::failures::{self, Account};
use crate::sessions::model::Begun;
use crate::sessions::opening::{self, Opening};
use crate::sessions::{ending, password};
use crate::text::Email;
use crate::users::model::User;
use crate::users::password::{check_new, password_changed};
use crate::users::repo::{self as users, Obstacle};
use crate::validate;
use crate::verifications::code::Purpose;
use crate::verifications::repo::{self, Accepted};

const TRIES: usize = 4;

/// Promises a code to an address, unless one was promised within the cool-down.
///
/// # Errors
/// 503; the same whether or not the address has an account.
pub async fn request(app: &Arc<App>, client: &Client, email: &Email) -> Result<(), Error> {
    let user = find(app, email).await?;
    let subject = user.as_ref().map_or_else(|| stand_in(app, email), |user| user.value.user_id.clone());
    let old = repo::find(app, &subject, Purpose::Recovery).await?;
    let task = |nonce| match &user {
        None => Task::Nothing,
        Some(user) => Task::Mail {
            to: user.value.email().to_owned(),
            message: MailMessage::Recovery {
                user_id: subject.clone(),
                username: user.value.username().to_owned(),
                nonce,
            },
        },
    };
    if old.as_ref().is_some_and(|old| old.value.cool_down(app.now()).is_some()) {
        // A message is on its way already; the answer is the same as ever.
        return Ok(());
    }
    let issue = repo::issue(app, &subject, Purpose::Recovery, email.as_str(), old.as_ref(), task)?;
    match issue.store(app).await {
        Ok(()) => delivery::deliver_soon(app, vec![issue.message_id]),
        // Somebody asked at the same moment; their code is on its way.
        Err(error) if error.conflicting_write().is_some() => {}
        Err(error) => return Err(error.into()),
    }
    let user_id = user.as_ref().map(|user| user.value.user_id.as_str());
    Event::of_account(user_id, client).record("recovery_requested", Outcome::Success);
    Ok(())
}

/// A new password, with the code that allows it.
#[derive(Debug)]
pub struct Recovery {
    /// The account's address.
    pub email: Email,
    /// The code.
    pub code: Secret,
    /// The new password.
    pub password: Secret,
    /// The device to sign in on.
    pub device_uuid: Option<DeviceUuid>,
}

/// Sets a new password and signs in; ends every other session and forgets failed sign-ins.
///
/// # Errors
/// 401 `invalid_code`, 422 for the password, 503.
pub async fn complete(app: &Arc<App>, client: &Client, recovery: &Recovery) -> Result<(User, Begun), Error> {
    let user = find(app, &recovery.email).await?;
    let subject =
        user.as_ref().map_or_else(|| stand_in(app, &recovery.email), |user| user.value.user_id.clone());
    let checked = check_new(app, recovery.password.clone(), &[recovery.email.as_str()]).await;
    let new_password = validate::one("/new_password", checked)?;
    let address = Some(recovery.email.as_str());
    let accepted = repo::redeem(app, &subject, Purpose::Recovery, address, &recovery.code).await?;
    let (Some(user), Ok(accepted)) = (user, accepted) else {
        let event = Event::of_account(None, client);
        event.record("account_recovered", Outcome::Failure);
        return Err(invalid_code());
    };
    // Only now, with the code, may the answer depend on the account's own username.
    let new_password = validate::one("/new_password", new_password.check_new(&[user.value.username()]))?;
    change_password(app, client, recovery, user, &accepted, &new_password).await
}

async fn change_password(
    app: &Arc<App>,
    client: &Client,
    recovery: &Recovery,
    user: Stored<User>,
    accepted: &Accepted,
    new_password: &Password,
) -> Result<(User, Begun), Error> {
    let hash = password::hash(app, new_password).await?;
    let opening = Opening::new(app, &user.value.user_id, client, recovery.device_uuid.clone())?;
    let mut before = user.clone();
    for _ in 0..TRIES {
        let now = app.now();
        let changed = User {
            password_hash: Some(hash.clone()),
            email_confirmed: true,
            updated_at: now,
            ..before.value.clone()
        };
        let notice = Entry::now(app, password_changed(&changed))?;
        let sweep = ending::sweep(app, &changed.user_id, Some(&opening.session_id), now)?;
        let prepare = |tx: &mut Transaction<Obstacle>| {
            tx.push(accepted.spend(), Obstacle::CodeSpent);
            users::put_changed(tx, &before, &changed)?;
            let failures = failures::key(app, Account::Known(&changed.user_id));
            tx.delete(failures, Condition::Always, Obstacle::Changed);
            tx.push(notice.promise()?, Obstacle::Changed).push(sweep.promise()?, Obstacle::Changed);
            Ok(())
        };
        match opening::open(app, &opening, &changed, prepare).await? {
            Ok(begun) => {
                ending::fulfil(app, sweep).await;
                delivery::deliver_soon(app, vec![notice.message_id]);
                Event::of(&begun.session, client).record("account_recovered", Outcome::Success);
                return Ok((changed, begun));
            }
            Err(Obstacle::CodeSpent) => return Err(invalid_code()),
            Err(_) => {
                let now = users::find(&*app.ports.store, &user.value.user_id).await?;
                let same = |now: &Stored<User>| {
                    now.value.is_enabled() && now.value.email.as_ref() == Some(&recovery.email)
                };
                before = now.filter(same).ok_or_else(invalid_code)?;
            }
        }
    }
    Err(Error::contended())
}

async fn find(app: &App, email: &Email) -> Result<Option<Stored<User>>, Error> {
    let user = users::find_by_email_evenly(&*app.ports.store, email).await?;
    Ok(user.filter(|user| user.value.is_enabled()))
}

/// What stands for an address that has no account, as long as none knows the server's key.
fn stand_in(app: &App, email: &Email) -> String {
    let tag = mac::tag(&app.server_keys.counters, &[b"recovery", email.as_str().as_bytes()]);
    format!("nobody#{}", hex(&tag[..16]))
}

fn invalid_code() -> Error {
    Error::wrong_credentials("invalid_code", "the code is wrong, was used, or has expired: ask for a new one")
}
