//! Beginning a session: the session itself and the device it is bound to, written with whatever the sign-in changes.

use std::sync::Arc;

use base16ct::lower::encode_string as hex;

use crate::App;
use crate::devices::model::{Device, DeviceUuid};
use crate::devices::repo as devices;
use crate::error::Error;
use crate::http::client::Client;
use crate::ports::store::{Condition, StoreError};
use crate::ports::store_ext::Transaction;
use crate::sessions::model::{Begun, Session, TokenPair};
use crate::sessions::repo;
use crate::users::model::User;
use crate::users::repo::Obstacle;

/// What a session is begun with.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The new session's id.
    pub session_id: String,
    /// Whose session.
    pub user_id: &'a str,
    /// Where the request came from.
    pub client: &'a Client,
    /// The device, as the client names it; without a name it is a new one.
    pub device_uuid: Option<DeviceUuid>,
    /// Whether the account is being made in the same transaction, so that it can have no device yet.
    pub new_account: bool,
}

impl<'a> Opening<'a> {
    /// A new session of an account that exists.
    ///
    /// # Errors
    /// 503 without randomness.
    pub fn new(
        app: &App,
        user_id: &'a str,
        client: &'a Client,
        device_uuid: Option<DeviceUuid>,
    ) -> Result<Self, Error> {
        Ok(Self { session_id: app.new_id()?, user_id, client, device_uuid, new_account: false })
    }
}

/// How the device of a session is written. A device is usually known, and then one transaction does it all.
enum Binding {
    Known(String),
    New(Box<Device>),
}

impl Binding {
    fn device_id(&self) -> &str {
        match self {
            Self::Known(id) => id,
            Self::New(device) => &device.device_id,
        }
    }

    fn add_to(&self, tx: &mut Transaction<Obstacle>) -> Result<(), StoreError> {
        match self {
            Self::Known(id) => {
                tx.check(devices::key(id), Condition::Present, Obstacle::DeviceMissing);
            }
            Self::New(device) => {
                let key = devices::key(&device.device_id);
                tx.put(key, &**device, Condition::Absent, Obstacle::DeviceExists)?;
            }
        }
        Ok(())
    }
}

/// Begins a session of a user as they will be, in one transaction with the writes that `prepare` adds.
///
/// # Behavior
/// The tokens are made first: where they cannot be, nothing has begun that nobody holds the tokens of.
///
/// # Errors
/// The outer error is an answer; the inner one is what stood in the way of `prepare`'s writes.
pub async fn open(
    app: &Arc<App>,
    opening: &Opening<'_>,
    user: &User,
    prepare: impl Fn(&mut Transaction<Obstacle>) -> Result<(), StoreError>,
) -> Result<Result<Begun, Obstacle>, Error> {
    let mut binding = first_guess(app, opening)?;
    let mut begun = begin(app, opening, user, binding.device_id()).await?;
    for _ in 0..4 {
        if begun.session.device_id != binding.device_id() {
            begun = begin(app, opening, user, binding.device_id()).await?;
        }
        let mut tx = Transaction::new();
        prepare(&mut tx)?;
        binding.add_to(&mut tx)?;
        let key = repo::key(&begun.session.session_id);
        tx.put(key.clone(), &begun.session, Condition::Absent, Obstacle::Changed)?.witness(key);
        match tx.commit(&*app.ports.store).await? {
            Ok(()) => return Ok(Ok(begun)),
            Err(Obstacle::DeviceMissing) => binding = missing_device(app, opening).await?,
            Err(Obstacle::DeviceExists) => binding = Binding::Known(binding.device_id().to_owned()),
            Err(obstacle) => return Ok(Err(obstacle)),
        }
    }
    Err(Error::contended())
}

fn first_guess(app: &App, opening: &Opening<'_>) -> Result<Binding, Error> {
    match &opening.device_uuid {
        Some(uuid) if !opening.new_account => Ok(Binding::Known(devices::device_id(opening.user_id, uuid))),
        Some(uuid) => Ok(new_device(app, opening, uuid)),
        None => Ok(new_device(app, opening, &DeviceUuid::made_here(app.new_id()?))),
    }
}

/// The device is not under its derived id: it is one of the older system's, or new.
async fn missing_device(app: &App, opening: &Opening<'_>) -> Result<Binding, Error> {
    let Some(uuid) = &opening.device_uuid else { return first_guess(app, opening) };
    Ok(match devices::find_legacy(&*app.ports.store, opening.user_id, uuid).await? {
        Some(device) => Binding::Known(device.device_id),
        None => new_device(app, opening, uuid),
    })
}

fn new_device(app: &App, opening: &Opening<'_>, uuid: &DeviceUuid) -> Binding {
    Binding::New(Box::new(Device::new(opening.user_id, uuid, app.now())))
}

async fn begin(app: &Arc<App>, opening: &Opening<'_>, user: &User, device_id: &str) -> Result<Begun, Error> {
    let session = new_session(app, opening, device_id)?;
    let tokens = TokenPair::of(app, user, &session).await?;
    Ok(Begun { session, tokens })
}

fn new_session(app: &App, opening: &Opening<'_>, device_id: &str) -> Result<Session, Error> {
    let now = app.now();
    let lifetime = app.settings.refresh_token_seconds.min(app.settings.session_max_seconds);
    let refresh_expires_at = now.plus_seconds(lifetime);
    Ok(Session {
        session_id: opening.session_id.clone(),
        user_id: opening.user_id.to_owned(),
        device_id: device_id.to_owned(),
        enable: true,
        refresh_random: hex(&app.random::<32>()?),
        refresh_counter: 1,
        rotated_at: None,
        refresh_expires_at,
        refresh_token: None,
        ip: Some(opening.client.addr.to_string()),
        user_agent: opening.client.user_agent.clone(),
        last_used_at: Some(now),
        created_at: now,
        updated_at: now,
        purge_at: Some(refresh_expires_at.plus_seconds(repo::KEPT_SECONDS).as_seconds()),
    })
}
