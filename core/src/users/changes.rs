//! Changing an account: its profile, its deletion and its restoring.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::access::Caller;
use crate::error::Error;
use crate::http::patch::Patch;
use crate::http::request::Request;
use crate::outbox::delivery;
use crate::outbox::model::{Entry, MailMessage, Task};
use crate::ports::store_ext::{Stored, Transaction};
use crate::sessions::ending;
use crate::text::{self, Email, Name, Phone, Username};
use crate::time::{Date, Timestamp};
use crate::users::model::{Role, User, list_shard};
use crate::users::purge;
use crate::users::repo::{self, Obstacle};
use crate::validate::{Invalid, Validator};

/// How often a change that somebody else overtook is made anew.
const TRIES: usize = 4;

/// What a change of profile brings: absent members stay as they are.
#[derive(Debug, Deserialize)]
pub struct ProfileBody {
    username: Option<String>,
    email: Option<String>,
    #[serde(default)]
    phone: Patch<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    #[serde(default)]
    birthday: Patch<String>,
    role: Option<String>,
    enable: Option<Value>,
}

/// A change of profile whose every value is acceptable.
#[derive(Debug)]
struct Profile {
    username: Option<Username>,
    email: Option<Email>,
    phone: Patch<Phone>,
    first_name: Option<Name>,
    last_name: Option<Name>,
    birthday: Patch<Date>,
    role: Option<Role>,
    enable: Option<bool>,
}

impl Profile {
    fn check(body: ProfileBody, now: Timestamp) -> Result<Self, Error> {
        let mut check = Validator::new();
        let profile = Self {
            username: check.optional("/username", body.username, |text| Username::parse(&text)),
            email: check.optional("/email", body.email, |text| Email::parse(&text)),
            phone: check_patch(&mut check, "/phone", body.phone, Phone::parse),
            first_name: check.optional("/first_name", body.first_name, |text| Name::parse(&text)),
            last_name: check.optional("/last_name", body.last_name, |text| Name::parse(&text)),
            birthday: check_patch(&mut check, "/birthday", body.birthday, |text| text::birthday(text, now)),
            role: check.optional("/role", body.role, |text| parse_role(&text)),
            enable: check.optional("/enable", body.enable, |value| parse_flag(&value)),
        };
        check.finish()?;
        Ok(profile)
    }

    /// Refuses what only an Admin may set.
    fn authorize(&self, caller: &Caller) -> Result<(), Error> {
        if (self.role.is_some() || self.enable.is_some()) && caller.role != Role::Admin {
            return Err(Error::forbidden("only an Admin may set `role` and `enable`"));
        }
        Ok(())
    }

    fn apply(&self, user: &User, now: Timestamp) -> User {
        let mut changed = User { updated_at: now, ..user.clone() };
        changed.username = self.username.clone().or(changed.username);
        if let Some(email) = self.email.as_ref().filter(|email| user.email.as_ref() != Some(email)) {
            changed.email = Some(email.clone());
            changed.email_confirmed = false;
        }
        self.phone.clone().apply(&mut changed.phone);
        changed.phone_confirmed &= changed.phone == user.phone;
        changed.first_name = self.first_name.clone().unwrap_or(changed.first_name);
        changed.last_name = self.last_name.clone().unwrap_or(changed.last_name);
        self.birthday.clone().apply(&mut changed.birthday);
        changed.role = self.role.unwrap_or(changed.role);
        changed.enable = self.enable.unwrap_or(changed.enable);
        changed
    }
}

/// An empty text clears like null, as clients of the older API send it.
fn check_patch<T>(
    check: &mut Validator,
    pointer: &'static str,
    patch: Patch<String>,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Patch<T> {
    match patch {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(text) if text.is_empty() => Patch::Clear,
        Patch::Set(text) => check.check(pointer, parse(&text)).map_or(Patch::Keep, Patch::Set),
    }
}

fn parse_role(text: &str) -> Result<Role, Invalid> {
    match text {
        "Admin" => Ok(Role::Admin),
        "User" => Ok(Role::User),
        _ => Err(Invalid::format("a role is `Admin` or `User`")),
    }
}

fn parse_flag(value: &Value) -> Result<bool, Invalid> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) if number.as_f64() == Some(1.0) => Ok(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(false),
        _ => Err(Invalid::format("`enable` is true, false, 1 or 0")),
    }
}

/// Changes a profile. What an attacker would change first — e-mail, phone, being enabled — ends the other sessions.
///
/// # Errors
/// 403, 404, 409 for names that are taken, 422.
pub async fn update(app: &Arc<App>, request: &Request, body: ProfileBody) -> Result<User, Error> {
    let caller = request.caller()?;
    let profile = Profile::check(body, app.now())?;
    profile.authorize(caller)?;
    for _ in 0..TRIES {
        let before = find_present(app, request.user_param()?).await?;
        let after = profile.apply(&before.value, app.now());
        if let Some(after) = commit(app, caller, &before, after).await? {
            record(request, caller, "profile_changed");
            return Ok(after);
        }
    }
    Err(Obstacle::Changed.into())
}

/// Writes a change with its consequences; `None` if the record changed in between.
async fn commit(
    app: &Arc<App>,
    caller: &Caller,
    before: &Stored<User>,
    after: User,
) -> Result<Option<User>, Error> {
    let notices = notices(app, &before.value, &after)?;
    let kept =
        (caller.user_id == after.user_id && after.enable).then_some(caller.session.session_id.as_str());
    let mut tx = Transaction::new();
    repo::put_renamed(&*app.ports.store, &mut tx, before, &after).await?;
    for notice in &notices {
        tx.push(notice.promise()?, Obstacle::Changed);
    }
    let ends = ends_sessions(&before.value, &after);
    let sweep = ends.then(|| ending::sweep(app, &after.user_id, kept, after.updated_at)).transpose()?;
    if let Some(sweep) = &sweep {
        tx.push(sweep.promise()?, Obstacle::Changed).witness(sweep.key());
    }
    match tx.commit(&*app.ports.store).await? {
        Ok(()) => {}
        Err(Obstacle::Changed) => return Ok(None),
        Err(obstacle) => return Err(obstacle.into()),
    }
    if let Some(sweep) = sweep {
        ending::fulfil(app, sweep).await;
    }
    delivery::deliver_soon(app, notices.into_iter().map(|notice| notice.message_id).collect());
    Ok(Some(after))
}

fn ends_sessions(before: &User, after: &User) -> bool {
    before.email != after.email || before.phone != after.phone || (before.enable && !after.enable)
}

/// What the old address must hear of.
fn notices(app: &App, before: &User, after: &User) -> Result<Vec<Entry>, Error> {
    let username = || before.username().to_owned();
    let mut messages = Vec::new();
    if before.email != after.email {
        messages.push(MailMessage::EmailChanged { username: username() });
    }
    if before.phone != after.phone && before.phone.is_some() {
        messages.push(MailMessage::PhoneChanged { username: username() });
    }
    let to = before.email().to_owned();
    messages.into_iter().map(|message| Entry::now(app, Task::Mail { to: to.clone(), message })).collect()
}

/// Deletes an account, softly: its names are free at once; its record and what belongs to it are kept for the retention
/// period, and then purged.
///
/// # Errors
/// 404, 409, 503.
pub async fn delete(app: &Arc<App>, request: &Request) -> Result<(), Error> {
    let caller = request.caller()?;
    for _ in 0..TRIES {
        let before = find_present(app, request.user_param()?).await?;
        let now = app.now();
        let mut after =
            User { deleted_at: Some(now), updated_at: now, list_shard: None, ..before.value.clone() };
        after.deleted_username = after.username.take();
        after.deleted_email = after.email.take();
        after.deleted_google_sub = after.google_sub.take();
        let sweep = ending::sweep(app, &after.user_id, None, now)?;
        let mut tx = Transaction::new();
        repo::put_renamed(&*app.ports.store, &mut tx, &before, &after).await?;
        tx.push(sweep.promise()?, Obstacle::Changed).witness(sweep.key());
        tx.push(purge::promise(app, &after.user_id, now)?.promise()?, Obstacle::Changed);
        if tx.commit(&*app.ports.store).await?.is_ok() {
            ending::fulfil(app, sweep).await;
            record(request, caller, "account_deleted");
            return Ok(());
        }
    }
    Err(Obstacle::Changed.into())
}

/// Restores a deleted account with its names, if they are still free. One that is not deleted stays as it is.
///
/// # Errors
/// 404, 409 when a name is taken by now, 410 after the retention period.
pub async fn restore(app: &Arc<App>, request: &Request) -> Result<User, Error> {
    let caller = request.caller()?;
    let before = repo::find(&*app.ports.store, request.user_param()?).await?.ok_or_else(Error::not_found)?;
    let now = app.now();
    let Some(deleted_at) = before.value.deleted_at else { return Ok(before.value) };
    if now > deleted_at.plus_seconds(purge::RETENTION_SECONDS) {
        return Err(Error::new(
            http::StatusCode::GONE,
            "retention_over",
            "this account was deleted too long ago to be restored",
        ));
    }
    let mut after = User { deleted_at: None, updated_at: now, ..before.value.clone() };
    after.username = after.deleted_username.take();
    after.email = after.deleted_email.take();
    after.google_sub = after.deleted_google_sub.take();
    after.list_shard = Some(list_shard(&after.user_id));
    let mut tx = Transaction::new();
    repo::put_changed(&mut tx, &before, &after)?;
    tx.commit(&*app.ports.store).await??;
    record(request, caller, "account_restored");
    Ok(after)
}

async fn find_present(app: &App, user_id: &str) -> Result<Stored<User>, Error> {
    let user = repo::find(&*app.ports.store, user_id).await?;
    user.filter(|user| user.value.deleted_at.is_none()).ok_or_else(Error::not_found)
}

fn record(request: &Request, caller: &Caller, event: &'static str) {
    let entry = Event {
        user_id: Some(request.user_param().unwrap_or(&caller.user_id)),
        session_id: Some(&caller.session.session_id),
        device_id: Some(&caller.session.device_id),
        addr: Some(request.client.addr),
    };
    entry.record(event, Outcome::Success);
}
