//! Uploads and downloads that go straight to where bytes are kept, by URLs that need no sign-in.

use std::sync::Arc;

use base16ct::lower::encode_string as hex;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::App;
use crate::blob_urls;
use crate::error::Error;
use crate::files::handlers::named;
use crate::files::model::{File, FileView, NewFile, State};
use crate::files::{download, mismatch, refuse, repo, sniff, sweep, uploads};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::http::{base_url, disposition};
use crate::ports::blobs::{BlobInfo, BlobKey, Presigned, PresignedGetAnswer, PresignedPutTerms};
use crate::time::Timestamp;
use crate::validate::{Invalid, InvalidCode, Validator};

/// How long an upload may take to begin, in seconds.
pub const UPLOAD_SECONDS: i64 = 15 * 60;

/// The largest file that one request can bring to an object store, in bytes (S3, `PutObject`).
pub const MAX_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// How long a download URL works: unless asked otherwise, and at most, in seconds.
const DOWNLOAD_SECONDS: (i64, i64) = (300, 900);

/// How long after its URL expired an upload may still be under way, in seconds.
const SWEEP_AFTER_SECONDS: i64 = 60 * 60;

#[derive(Deserialize)]
struct Input {
    file_name: Option<String>,
    content_type: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    private: Option<bool>,
}

#[derive(Serialize)]
struct Begun<'a> {
    file: FileView<'a>,
    upload: Upload,
}

#[derive(Serialize)]
struct Upload {
    method: &'static str,
    url: String,
    headers: Map<String, Value>,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct Link {
    url: String,
    expires_at: Timestamp,
}

/// `POST /v1/files/uploads`
///
/// # Errors
/// 400, 413, 422, 503.
pub async fn create(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let new = check(request.json().await?)?;
    let now = app.now();
    let file = File::pending(app.new_id()?, &request.caller()?.user_id, new, now);
    let expires_at = now.plus_seconds(UPLOAD_SECONDS);
    repo::begin(app, &file, expires_at.plus_seconds(SWEEP_AFTER_SECONDS)).await?;
    match presign(app, &file, expires_at).await {
        Ok(presigned) => {
            let base = base_url::of(app, &request.headers);
            let (file, upload) = (file.view(base.as_deref()), shown(presigned, base.as_deref()));
            reply::created(&Begun { file, upload })
        }
        Err(error) => {
            sweep::abandon(app, &file).await;
            Err(error)
        }
    }
}

/// `POST /v1/files/uploads/{id}/complete`
///
/// # Errors
/// 404, 409 while there are no bytes, 415 and 422 for other bytes than announced, which are removed; 503.
pub async fn complete(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let stored = repo::get_owned(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    let file = match stored.value.state {
        State::Ready => stored.value,
        State::Deleting => return Err(Error::not_found()),
        State::Pending => accept(app, &stored.value).await?,
    };
    reply::ok(&file.view(base_url::of(app, &request.headers).as_deref()))
}

/// `GET /v1/files/{id}/url`
///
/// # Errors
/// 400, 404, 503.
pub async fn link(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let expires_at = app.now().plus_seconds(ttl(&request)?);
    let file = repo::get_visible(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let answer = PresignedGetAnswer {
        content_type: download::media_type(&file).to_owned(),
        content_disposition: disposition::attachment(&file.name),
    };
    let presigned = match &app.ports.presigner {
        Some(presigner) => presigner.presign_get(&key, &answer, expires_at).await.map_err(refuse)?,
        None => blob_urls::presign_get(&app.server_keys.blobs, &key, &answer, expires_at),
    };
    let base = base_url::of(app, &request.headers);
    let url = base_url::absolute(base.as_deref(), &presigned.url);
    reply::ok(&Link { url, expires_at: presigned.expires_at })
}

async fn presign(app: &App, file: &File, expires_at: Timestamp) -> Result<Presigned, Error> {
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let terms = PresignedPutTerms {
        length: file.size,
        content_type: file.media_type.clone(),
        sha256: read_hash(&file.hash),
    };
    let presigned = match &app.ports.presigner {
        Some(presigner) => presigner.presign_put(&key, &terms, expires_at).await,
        None => blob_urls::presign_put(&app.server_keys.blobs, &key, &terms, expires_at),
    };
    presigned.map_err(refuse)
}

/// Makes a pending file ready if its bytes are those that were announced; others are removed, and may be sent anew.
async fn accept(app: &App, file: &File) -> Result<File, Error> {
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let info = app.ports.blobs.head(&key).await.map_err(refuse)?.ok_or_else(not_uploaded)?;
    match inspect(app, file, &key, &info).await {
        Ok(checked) => repo::finish(app, &checked).await,
        Err(error) if error.status.is_client_error() => {
            app.ports.blobs.delete(&key).await.map_err(refuse)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn inspect(app: &App, file: &File, key: &BlobKey, info: &BlobInfo) -> Result<File, Error> {
    if info.length != file.size {
        return Err(mismatch());
    }
    let media_type = sniff::settle(&file.media_type, &uploads::head_of(app, key, info).await?)?;
    let hash = hex(&uploads::hash_of(app, key, info).await?);
    if !file.hash.is_empty() && file.hash != hash {
        return Err(mismatch());
    }
    Ok(File { media_type, hash, ..file.clone() })
}

fn check(input: Input) -> Result<NewFile, Error> {
    let mut check = Validator::new();
    let name = check.required("/file_name", input.file_name, named);
    let media_type = check.required("/content_type", input.content_type, |text| {
        sniff::media_type(&text).ok_or_else(|| Invalid::format("a content type is like `image/png`"))
    });
    let size = check.required("/size", input.size, length);
    let hash = check.optional("/sha256", input.sha256, |text| {
        read_hash(&text).map(|hash| hex(&hash)).ok_or_else(|| Invalid::format("a SHA-256 is 64 hex digits"))
    });
    let (name, (media_type, size)) = check.finish_with(name.zip(media_type.zip(size)))?;
    let (hash, is_private) = (hash.unwrap_or_default(), input.private.unwrap_or(false));
    Ok(NewFile { name, media_type, size, hash, is_private, is_thumbnail: false })
}

fn length(size: u64) -> Result<u64, Invalid> {
    if size <= MAX_BYTES {
        return Ok(size);
    }
    Err(Invalid::new(InvalidCode::OutOfRange, format!("a file has at most {MAX_BYTES} bytes")))
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let read = base16ct::mixed::decode(text, &mut hash).ok()?;
    (read.len() == hash.len()).then_some(hash)
}

fn shown(presigned: Presigned, base: Option<&str>) -> Upload {
    let text = |value: &http::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    Upload {
        method: presigned.method,
        url: base_url::absolute(base, &presigned.url),
        headers: presigned.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        expires_at: presigned.expires_at,
    }
}

fn ttl(request: &Request) -> Result<i64, Error> {
    let (usual, most) = DOWNLOAD_SECONDS;
    let Some(text) = request.query("ttl") else { return Ok(usual) };
    text.parse().ok().filter(|ttl| (1..=most).contains(ttl)).ok_or_else(|| {
        Error::bad_request("invalid_parameter", format!("`ttl` must be a number of seconds from 1 to {most}"))
    })
}

fn not_uploaded() -> Error {
    Error::new(StatusCode::CONFLICT, "not_uploaded", "the bytes are not there yet: upload them first")
}
