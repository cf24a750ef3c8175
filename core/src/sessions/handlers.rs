//! What requests about sessions bring and get.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::access::Caller;
use crate::auth::password::Password;
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::paging::{self, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::ports::store_ext::StoreExt;
use crate::secret::Secret;
use crate::sessions::model::{Auth, SessionView};
use crate::sessions::password::Credentials;
use crate::sessions::{ending, google, password, refresh as refreshing, repo};
use crate::users::model::UserView;
use crate::users::repo as users;
use crate::validate::Validator;

#[derive(Deserialize)]
struct SignIn {
    username: Option<String>,
    password: Option<Secret>,
    device_uuid: Option<String>,
}

/// `POST /v1/sessions/login`
///
/// # Errors
/// 401, 422, 429, 503.
pub async fn sign_in(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: SignIn = request.json().await?;
    let mut check = Validator::new();
    let login = check.required("/username", body.username, Ok);
    let secret = check.required("/password", body.password, Ok);
    let device_uuid = check.optional("/device_uuid", body.device_uuid, |text| DeviceUuid::parse(&text));
    let (login, secret) = check.finish_with(login.zip(secret))?;
    let credentials = Credentials { login, password: Password::new(secret), device_uuid };
    let (user, begun) = password::sign_in(app, &request.client, &credentials).await?;
    reply::ok(&Auth::of(&user, &begun))
}

#[derive(Deserialize)]
struct SignInWithGoogle {
    credential: Option<Secret>,
    device_uuid: Option<String>,
}

/// `POST /v1/sessions/google`
///
/// # Errors
/// 401, 422, 503.
pub async fn sign_in_with_google(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: SignInWithGoogle = request.json().await?;
    let mut check = Validator::new();
    let credential = check.required("/credential", body.credential, Ok);
    let device_uuid = check.optional("/device_uuid", body.device_uuid, |text| DeviceUuid::parse(&text));
    let credential = check.finish_with(credential)?;
    let (user, begun) = google::sign_in(app, &request.client, &credential, device_uuid).await?;
    reply::ok(&Auth::of(&user, &begun))
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: Option<Secret>,
}

/// `POST /v1/sessions/refresh`
///
/// # Errors
/// 401, 422, 503.
pub async fn refresh(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: Refresh = request.json().await?;
    let mut check = Validator::new();
    let token = check.required("/refresh_token", body.refresh_token, Ok);
    let token = check.finish_with(token)?;
    reply::ok(&refreshing::refresh(app, &request.client, &token).await?)
}

#[derive(Serialize)]
struct Current<'a> {
    session: SessionView<'a>,
    user: UserView<'a>,
}

/// `GET /v1/sessions`
///
/// # Errors
/// 401.
pub async fn show(_app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let caller = request.caller()?;
    reply::ok(&Current { session: caller.session.view(), user: caller.user()?.value.view() })
}

/// `GET /v1/users/{id}/sessions`
///
/// # Errors
/// 401, 403, 404 for a user who does not exist, 400 for a bad page.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let (caller, user_id) = (request.caller()?, request.user_param()?);
    let store = &*app.ports.store;
    if user_id != caller.user_id {
        users::find(store, user_id).await?.ok_or_else(Error::not_found)?;
    }
    let sessions = repo::list_live(store, user_id).await?;
    let current = &caller.session.session_id;
    let listed = sessions.iter().map(|session| session.listed(current)).collect();
    let scope = format!("sessions/{user_id}");
    paging::reply_list(&page, &app.server_keys.cursors, &scope, listed, |listed| listed.session.id)
}

/// `POST /v1/sessions/logout`
///
/// # Errors
/// 401, 503.
pub async fn log_out(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let caller = request.caller()?;
    end(app, caller, &caller.session.session_id).await?;
    record(&request, "sign_out")?;
    reply::message("logged out")
}

/// `DELETE /v1/sessions/{id}`
///
/// # Errors
/// 401, 404 for a session that is not the caller's, 503.
pub async fn revoke(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    end(app, request.caller()?, request.id_param()?).await?;
    record(&request, "session_revoked")?;
    reply::message("session ended")
}

async fn end(app: &Arc<App>, caller: &Caller, session_id: &str) -> Result<(), Error> {
    let session = repo::find(&*app.ports.store, session_id)
        .await?
        .filter(|session| caller.is_self_or_admin(&session.value.user_id))
        .ok_or_else(Error::not_found)?;
    ending::end_one(app, session).await?;
    Ok(())
}

#[derive(Serialize)]
struct Ended {
    message: &'static str,
    ended: usize,
}

/// `POST /v1/sessions/logout-all`
///
/// # Errors
/// 401, 400 for a bad `keep_current`, 503.
pub async fn log_out_everywhere(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let caller = request.caller()?;
    let kept = request.flag("keep_current")?.then_some(caller.session.session_id.as_str());
    let now = app.now();
    let sweep = ending::sweep(app, &caller.user_id, kept, now)?;
    app.ports.store.write(sweep.promise()?).await?;
    let ended = ending::end_all(app, &caller.user_id, kept, now).await?;
    record(&request, "sign_out_everywhere")?;
    reply::ok(&Ended { message: "logged out", ended })
}

fn record(request: &Request, event: &'static str) -> Result<(), Error> {
    let caller = request.caller()?;
    let entry = Event::of(&caller.session, &request.client);
    entry.record(event, Outcome::Success);
    Ok(())
}
