//! What requests about statuses bring and get.

use std::sync::Arc;

use serde::Deserialize;

use crate::App;
use crate::error::Error;
use crate::http::paging::{self, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::statuses::model::Status;
use crate::statuses::repo;
use crate::text::line;
use crate::validate::Validator;

#[derive(Deserialize)]
struct Input {
    description: Option<String>,
}

/// `GET /v1/statuses`
///
/// # Errors
/// 400 for a bad page, 503.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let scope = format!("statuses/{}", request.caller()?.user_id);
    let statuses = repo::list(&*app.ports.store).await?;
    let views = statuses.iter().map(Status::view).collect();
    paging::reply_list(&page, &app.server_keys.cursors, &scope, views, |view| view.id)
}

/// `POST /v1/statuses`
///
/// # Errors
/// 422, 503.
pub async fn create(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let description = read(&mut request).await?;
    let status = Status { status_id: app.new_id()?, description, rest: serde_json::Map::new() };
    repo::create(&*app.ports.store, &status).await?;
    reply::created(&status.view())
}

/// `GET /v1/statuses/{id}`
///
/// # Errors
/// 404, 503.
pub async fn show(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let status = repo::get(&*app.ports.store, request.id_param()?).await?;
    reply::ok(&status.value.view())
}

/// `PUT` and `PATCH /v1/statuses/{id}`
///
/// # Errors
/// 404, 409, 422, 503.
pub async fn update(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let description = read(&mut request).await?;
    let store = &*app.ports.store;
    let stored = repo::get(store, request.id_param()?).await?;
    let status = Status { description, ..stored.value.clone() };
    repo::save(store, &status, stored.unchanged()).await?;
    reply::ok(&status.view())
}

/// `DELETE /v1/statuses/{id}`
///
/// # Errors
/// 404, 409, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let store = &*app.ports.store;
    let status = repo::get(store, request.id_param()?).await?;
    repo::remove(store, &status).await?;
    reply::message("deleted")
}

async fn read(request: &mut Request) -> Result<String, Error> {
    let input: Input = request.json().await?;
    let mut check = Validator::new();
    let description =
        check.required("/description", input.description, |text| line(&text, 200, "a description"));
    check.finish_with(description)
}
