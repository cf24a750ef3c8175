//! Everything that is stored about a user, as one document, without secrets.

use std::sync::Arc;

use serde::Serialize;

use crate::App;
use crate::auth::access::Caller;
use crate::devices::repo as devices;
use crate::error::Error;
use crate::files::model::{File, FileView};
use crate::files::repo as files;
use crate::http::reply::{self, Reply};
use crate::notifications::model::Notification;
use crate::notifications::repo as notifications;
use crate::ports::store_ext::{StoreExt, Stored, decode};
use crate::sessions::model::ListedSession;
use crate::sessions::repo as sessions;
use crate::time::Timestamp;
use crate::users::model::{User, UserView};
use crate::verifications::code::Purpose;
use crate::verifications::model::Verification;
use crate::verifications::repo as verifications;

/// Answers with the caller's document.
///
/// # Errors
/// 503.
pub async fn export(app: &Arc<App>, caller: &Caller) -> Result<Reply, Error> {
    let store = &*app.ports.store;
    let user = &caller.user()?.value;
    let (sessions, devices, notifications, files) = futures::try_join!(
        sessions::list_live(store, &user.user_id),
        devices::list(store, &user.user_id),
        store.query_all(notifications::all_of(&user.user_id)),
        store.query_all(files::of_user(&user.user_id)),
    )?;
    let notifications: Vec<Stored<Notification>> =
        notifications.into_iter().map(decode).collect::<Result<_, _>>()?;
    let files: Vec<Stored<File>> = files.into_iter().map(decode).collect::<Result<_, _>>()?;
    reply::ok(&Export {
        exported_at: app.now(),
        user: user.view(),
        identities: identities(user),
        sessions: sessions.iter().map(|session| session.listed(&caller.session.session_id)).collect(),
        devices: devices.iter().map(|device| device.view()).collect(),
        notifications: notifications.iter().map(|notification| notification.value.view()).collect(),
        files: files.iter().map(|file| file.value.view(None)).collect(),
        verifications: pending(app, &user.user_id).await?,
    })
}

#[derive(Serialize)]
struct Export<'a, D, N> {
    exported_at: Timestamp,
    user: UserView<'a>,
    identities: Vec<Identity<'a>>,
    sessions: Vec<ListedSession<'a>>,
    devices: Vec<D>,
    notifications: Vec<N>,
    files: Vec<FileView<'a>>,
    verifications: Vec<Pending>,
}

#[derive(Serialize)]
struct Identity<'a> {
    provider: &'static str,
    subject: &'a str,
}

/// A code in force, without the code.
#[derive(Serialize)]
struct Pending {
    r#type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    attempts: u32,
    sent_at: Timestamp,
    expires_at: Timestamp,
}

fn identities(user: &User) -> Vec<Identity<'_>> {
    user.google_sub.iter().map(|subject| Identity { provider: "google", subject }).collect()
}

async fn pending(app: &App, user_id: &str) -> Result<Vec<Pending>, Error> {
    let purposes = [Purpose::Email, Purpose::Phone, Purpose::Recovery];
    let found = purposes.map(|purpose| verifications::find(app, user_id, purpose));
    let found = futures::future::try_join_all(found).await?;
    Ok(found.into_iter().flatten().map(|stored| show(stored.value)).collect())
}

fn show(verification: Verification) -> Pending {
    Pending {
        r#type: verification.purpose,
        address: verification.address,
        attempts: verification.attempts,
        sent_at: verification.sent_at,
        expires_at: Timestamp::default().plus_seconds(verification.expires_at),
    }
}
