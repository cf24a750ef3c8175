//! What requests about devices bring and get.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;

use crate::App;
use crate::app_versions::cache as app_versions;
use crate::app_versions::model::UpdateRequired;
use crate::app_versions::version::VersionText;
use crate::audit::{Event, Outcome};
use crate::devices::model::{Device, DeviceChanges, optional_ulid};
use crate::devices::repo;
use crate::error::Error;
use crate::http::paging::{self, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::text::line;
use crate::validate::{Invalid, Validator};

#[derive(Deserialize)]
struct Update {
    token: Option<String>,
    app_version_id: Option<String>,
}

#[derive(Deserialize)]
struct VersionCheck {
    device_version: Option<VersionText>,
}

/// `GET /v1/devices`
///
/// # Errors
/// 400 for a bad page, 503.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let user_id = &request.caller()?.user_id;
    let devices = repo::list(&*app.ports.store, user_id).await?;
    let views = devices.iter().map(Device::view).collect();
    let scope = format!("devices/{user_id}");
    paging::reply_list(&page, &app.server_keys.cursors, &scope, views, |view| view.id)
}

/// `GET /v1/devices/{id}`
///
/// # Errors
/// 404, 503.
pub async fn show(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let device = repo::find_owned(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    reply::ok(&device.value.view())
}

/// `PUT` and `PATCH /v1/devices/{id}`
///
/// # Errors
/// 404, 409, 422, 503.
pub async fn update(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: Update = request.json().await?;
    let mut check = Validator::new();
    let token = check.optional("/token", body.token, |text| push_token(&text));
    let app_version_id = check.optional("/app_version_id", body.app_version_id, optional_ulid);
    check.finish()?;
    let changes = DeviceChanges { token, app_version_id };
    let device = repo::update(app, request.caller()?, request.id_param()?, &changes).await?;
    reply::ok(&device.view())
}

/// `DELETE /v1/devices/{id}`
///
/// # Errors
/// 404, 409, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let caller = request.caller()?;
    let device = repo::remove(app, caller, request.id_param()?).await?;
    let event = Event {
        user_id: Some(&device.user_id),
        session_id: Some(&caller.session.session_id),
        device_id: Some(&device.device_id),
        addr: Some(request.client.addr),
    };
    event.record("device_deleted", Outcome::Success);
    reply::message("deleted")
}

/// `PUT /v1/devices/version`
///
/// # Errors
/// 422, 503. That an update is required is an answer of status 409, not an error.
pub async fn check_version(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: VersionCheck = request.json().await?;
    let mut check = Validator::new();
    let installed = check.required("/device_version", body.device_version, |text| text.parse());
    let installed = check.finish_with(installed)?;
    let versions = app_versions::list(app).await?;
    match UpdateRequired::of(&versions, &installed) {
        Some(update) => reply::json(StatusCode::CONFLICT, &update),
        None => reply::message("up to date"),
    }
}

/// An empty token is none.
fn push_token(text: &str) -> Result<String, Invalid> {
    if text.trim().is_empty() { Ok(String::new()) } else { line(text, 4096, "a token") }
}
