//! What requests about accounts bring and get.

use std::sync::Arc;

use serde::Deserialize;

use crate::App;
use crate::error::Error;
use crate::http::cursor;
use crate::http::paging::{Envelope, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::secret::Secret;
use crate::sessions::model::Auth;
use crate::users::changes::{self, ProfileBody};
use crate::users::model::User;
use crate::users::registration::{self, Registration, RegistrationBody};
use crate::users::{export as exporting, password, repo};
use crate::validate::Validator;

/// `POST /v1/users`
///
/// # Errors
/// 409, 422, 429, 503.
pub async fn register(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: RegistrationBody = request.json().await?;
    let wanted = Registration::check(app, body).await?;
    let (user, begun) = registration::register(app, &request.client, &wanted).await?;
    reply::created(&Auth::of(&user, &begun))
}

/// `GET /v1/users`
///
/// # Errors
/// 400 for a bad page, 401, 403.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let keys = &app.server_keys.cursors;
    let below: Option<String> =
        page.cursor.as_deref().map(|text| cursor::open(keys, "users", text)).transpose()?;
    let found = repo::list(&*app.ports.store, below.as_deref(), page.limit).await?;
    let next = found.next.and_then(|id| cursor::seal(keys, "users", &id));
    reply::ok(&Envelope::new(found.users.iter().map(User::view).collect(), next))
}

/// `GET /v1/users/{id}`
///
/// # Errors
/// 401, 404.
pub async fn show(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let (caller, id) = (request.caller()?, request.user_param()?);
    let user = repo::find(&*app.ports.store, id).await?.ok_or_else(Error::not_found)?.value;
    if caller.is_self_or_admin(id) && (user.deleted_at.is_none() || caller.user_id != id) {
        reply::ok(&user.view())
    } else if user.is_enabled() {
        reply::ok(&user.public_view())
    } else {
        Err(Error::not_found())
    }
}

/// `PUT` and `PATCH /v1/users/{id}`
///
/// # Errors
/// 400, 401, 403, 404, 409, 422.
pub async fn update(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: ProfileBody = request.json().await?;
    let user = changes::update(app, &request, body).await?;
    reply::ok(&user.view())
}

/// `DELETE /v1/users/{id}`
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    changes::delete(app, &request).await?;
    reply::message("deleted")
}

/// `POST /v1/users/{id}/restore`
///
/// # Errors
/// 401, 403, 404, 409 when a name is taken by now, 410 after the retention period.
pub async fn restore(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let user = changes::restore(app, &request).await?;
    reply::ok(&user.view())
}

#[derive(Deserialize)]
struct ChangePassword {
    current_password: Option<Secret>,
    new_password: Option<Secret>,
}

/// `POST /v1/users/me/password`, and under its older path `POST /v1/password-recovery/change-password`
///
/// # Errors
/// 401, 422, 429, 503.
pub async fn change_password(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: ChangePassword = request.json().await?;
    let mut check = Validator::new();
    let current = check.required("/current_password", body.current_password, Ok);
    let new = check.required("/new_password", body.new_password, Ok);
    let (current, new) = check.finish_with(current.zip(new))?;
    password::change(app, &request.client, request.caller()?, current, new).await?;
    reply::message("password changed")
}

/// `GET /v1/users/me/export`
///
/// # Errors
/// 401, 503.
pub async fn export(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    exporting::export(app, request.caller()?).await
}
