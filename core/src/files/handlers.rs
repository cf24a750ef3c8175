//! What requests about files bring and get. Presigned uploads and downloads are in [`super::presigned`].

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::error::Error;
use crate::files::model::{File, FileView, NewFile};
use crate::files::{download, repo, sweep, uploads};
use crate::http::paging::{Envelope, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::http::{base_url, cursor, multipart};
use crate::validate::{Invalid, InvalidCode, Validator};

/// The longest body of an upload as base64, and the longest file that is downloaded so, in bytes.
pub const MAX_BASE64_BYTES: usize = 10 * 1024 * 1024;

#[derive(Deserialize)]
struct Base64Upload {
    file_name: Option<String>,
    base64: Option<String>,
    private: Option<bool>,
}

#[derive(Serialize)]
struct Base64Download<'a> {
    file: FileView<'a>,
    base64: String,
}

/// `POST /v1/files` and `/v1/files/s3`
///
/// # Errors
/// 400, 413, 415, 503.
pub async fn upload(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let (is_private, is_thumbnail) = (request.flag("private")?, request.flag("thumbnail")?);
    let body = request.take_body();
    let form = multipart::file(&request.headers, body, app.settings.max_upload_bytes).await?;
    let media_type = form.content_type.unwrap_or_default();
    let new = NewFile { name: form.name, media_type, is_private, is_thumbnail, ..NewFile::default() };
    let file = uploads::stream(app, &request.caller()?.user_id, new, form.body).await?;
    created(app, &request, &file)
}

/// `POST /v1/files/base64` and `/v1/files/s3/base64`
///
/// # Errors
/// 400, 413, 415, 422, 503.
pub async fn upload_base64(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let input: Base64Upload = request.json_within(MAX_BASE64_BYTES).await?;
    let mut check = Validator::new();
    let name = check.required("/file_name", input.file_name, named);
    let text = check.required("/base64", input.base64, Ok);
    let (name, text) = check.finish_with(name.zip(text))?;
    let bytes: Bytes = STANDARD.decode(text).map_err(|_| not_base64())?.into();
    let new = NewFile { name, is_private: input.private.unwrap_or(false), ..NewFile::default() };
    let file = uploads::bytes(app, &request.caller()?.user_id, new, bytes).await?;
    created(app, &request, &file)
}

/// `GET /v1/files`
///
/// # Errors
/// 400 for a bad page, 503.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let user_id = &request.caller()?.user_id;
    let (key, scope) = (&app.server_keys.cursors, format!("files/{user_id}"));
    let query = repo::of_user(user_id).after(page.position(key, &scope)?);
    let (files, next) = repo::list(&*app.ports.store, query, page.limit).await?;
    let base = base_url::of(app, &request.headers);
    let views = files.iter().map(|file| file.view(base.as_deref())).collect();
    reply::ok(&Envelope::new(views, next.and_then(|next| cursor::seal(key, &scope, &next))))
}

/// `GET /v1/files/{id}` and `/v1/files/s3/{id}`
///
/// # Errors
/// 404, 503.
pub async fn show(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let file = repo::get_visible(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    download::answer(app, &request, &file).await
}

/// `GET /v1/files/base64/{id}` and `/v1/files/s3/base64/{id}`
///
/// # Errors
/// 404, 413 for a file that is too long for it, 503.
pub async fn show_base64(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let file = repo::get_visible(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    if file.size > MAX_BASE64_BYTES as u64 {
        return Err(too_large());
    }
    let blob = download::open(app, &file, None).await?;
    let bytes = blob.body.read(MAX_BASE64_BYTES, Some(file.size)).await.map_err(|_| broke_off())?;
    let base = base_url::of(app, &request.headers);
    reply::ok(&Base64Download { file: file.view(base.as_deref()), base64: STANDARD.encode(bytes) })
}

/// `DELETE /v1/files/{id}` and `/v1/files/s3/{id}`
///
/// # Errors
/// 404, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    sweep::remove(app, request.caller()?, request.id_param()?).await?;
    reply::message("file deleted")
}

/// A name that is not nothing; whatever else it is, it is made harmless.
pub(super) fn named(name: String) -> Result<String, Invalid> {
    if name.trim().is_empty() {
        return Err(Invalid::new(InvalidCode::TooShort, "a file has a name"));
    }
    Ok(name)
}

fn created(app: &App, request: &Request, file: &File) -> Result<Reply, Error> {
    reply::created(&file.view(base_url::of(app, &request.headers).as_deref()))
}

fn not_base64() -> Error {
    Error::bad_request("invalid_base64", "`base64` must be base64 with padding, without line breaks")
}

fn too_large() -> Error {
    Error::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "file_too_large",
        "the file is too long to be sent as base64: download its bytes",
    )
}

fn broke_off() -> Error {
    Error::unavailable("storage_unavailable", "the storage broke off: try again shortly", 2)
}
