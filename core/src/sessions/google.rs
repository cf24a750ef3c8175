//! Signing in with Google: the account is the one that Google's `sub` belongs to, one that its e-mail address links, or
//! a new one.

use std::sync::Arc;

use base16ct::lower::encode_string as hex;
use http::StatusCode;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::google::{self, GoogleIdentity};
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::client::Client;
use crate::ports::store::StoreError;
use crate::ports::store_ext::{Stored, Transaction};
use crate::secret::Secret;
use crate::sessions::ending;
use crate::sessions::model::Begun;
use crate::sessions::opening::{self, Opening};
use crate::text::{Name, Username, fold};
use crate::time::Timestamp;
use crate::users::model::{AuthProvider, Role, User};
use crate::users::repo::{self as users, LoginName, Obstacle};

const TRIES: usize = 4;

/// Signs in with a Google ID token.
///
/// # Errors
/// 401 `google_token_invalid` or `invalid_credentials` (for a disabled account), 503.
pub async fn sign_in(
    app: &Arc<App>,
    client: &Client,
    credential: &Secret,
    device_uuid: Option<DeviceUuid>,
) -> Result<(User, Begun), Error> {
    let identity = google::verify(app, credential).await.inspect_err(|error| {
        if error.status == StatusCode::UNAUTHORIZED {
            refuse(None, client);
        }
    })?;
    for _ in 0..TRIES {
        let plan = plan(app, client, &identity).await?;
        let opening = Opening {
            new_account: plan.before.is_none(),
            ..Opening::new(app, &plan.user.user_id, client, device_uuid.clone())?
        };
        let sweep = ending::sweep(app, &plan.user.user_id, Some(&opening.session_id), app.now())?;
        let prepare = |tx: &mut Transaction<Obstacle>| {
            plan.add_to(tx)?;
            if plan.ends_sessions {
                tx.push(sweep.promise()?, Obstacle::Changed);
            }
            Ok(())
        };
        if let Ok(begun) = opening::open(app, &opening, &plan.user, prepare).await? {
            if plan.ends_sessions {
                ending::fulfil(app, sweep).await;
            }
            Event::of(&begun.session, client).record("sign_in_with_google", Outcome::Success);
            return Ok((plan.user, begun));
        }
    }
    Err(Error::contended())
}

/// What signing in changes.
struct Plan {
    /// The account as it will be.
    user: User,
    /// The account as it is, unless it is new.
    before: Option<Stored<User>>,
    /// Whether sessions from before the link must end.
    ends_sessions: bool,
}

impl Plan {
    fn add_to(&self, tx: &mut Transaction<Obstacle>) -> Result<(), StoreError> {
        match &self.before {
            None => users::put_new(tx, &self.user),
            Some(before) if before.value == self.user => {
                tx.check(users::key(&self.user.user_id), before.unchanged(), Obstacle::Changed);
                Ok(())
            }
            Some(before) => users::put_changed(tx, before, &self.user),
        }
    }
}

async fn plan(app: &Arc<App>, client: &Client, identity: &GoogleIdentity) -> Result<Plan, Error> {
    let store = &*app.ports.store;
    if let Some(before) = users::find_by_google(store, &identity.sub).await? {
        let before = enabled(client, before)?;
        return Ok(Plan { user: before.value.clone(), before: Some(before), ends_sessions: false });
    }
    match users::find_by_email(store, &identity.email).await? {
        Some(before) => Ok(link(app.now(), enabled(client, before)?, identity)),
        None => Ok(Plan { user: new_user(app, identity).await?, before: None, ends_sessions: false }),
    }
}

/// Links an account to Google. If nobody ever proved that the account's address is theirs, somebody may have registered
/// it to lie in wait for its owner: their password goes, and their sessions end.
fn link(now: Timestamp, before: Stored<User>, identity: &GoogleIdentity) -> Plan {
    let trusted = before.value.email_confirmed && before.value.google_sub.is_none();
    let mut user = User {
        google_sub: Some(identity.sub.clone()),
        email_confirmed: true,
        updated_at: now,
        ..before.value.clone()
    };
    if !trusted {
        user.password_hash = None;
        user.phone_confirmed = false;
        user.auth_provider = AuthProvider::Google;
    }
    Plan { user, before: Some(before), ends_sessions: !trusted }
}

fn enabled(client: &Client, user: Stored<User>) -> Result<Stored<User>, Error> {
    if user.value.is_enabled() {
        Ok(user)
    } else {
        refuse(Some(&user.value.user_id), client);
        Err(Error::wrong_credentials("invalid_credentials", "this account cannot be signed in to"))
    }
}

async fn new_user(app: &Arc<App>, identity: &GoogleIdentity) -> Result<User, Error> {
    let user_id = app.new_id()?;
    let now = app.now();
    Ok(User {
        username: Some(free_username(app, identity).await?),
        email: Some(identity.email.clone()),
        first_name: Name::lenient(identity.given_name.as_deref().unwrap_or_default(), "-"),
        last_name: Name::lenient(identity.family_name.as_deref().unwrap_or_default(), "-"),
        email_confirmed: true,
        auth_provider: AuthProvider::Google,
        google_sub: Some(identity.sub.clone()),
        ..User::new(user_id, Role::User, now)
    })
}

/// A username made of the address's local part; with random letters if that is taken.
async fn free_username(app: &Arc<App>, identity: &GoogleIdentity) -> Result<Username, Error> {
    let local = identity.email.as_str().split('@').next().unwrap_or_default();
    let allowed = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let stem: String = fold(local).chars().filter(allowed).take(40).collect();
    let stem = if stem.chars().count() < 3 { format!("user-{stem}") } else { stem };
    let parsed = |text: &str| Username::parse(text).map_err(|_| Error::contended());
    let wanted = parsed(&stem)?;
    let taken = match LoginName::parse(wanted.as_str()) {
        Some(name) => name.find_owner(&*app.ports.store).await?.is_some(),
        None => true,
    };
    if !taken {
        return Ok(wanted);
    }
    parsed(&format!("{stem}-{}", hex(&app.random::<5>()?)))
}

fn refuse(user_id: Option<&str>, client: &Client) {
    let event = Event::of_account(user_id, client);
    event.record("sign_in_with_google", Outcome::Failure);
}
