//! From bytes to a file: a pending record, then the bytes, then a ready record. What fails on the way is cleared away.

use base16ct::lower::encode_string as hex;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::App;
use crate::error::Error;
use crate::files::model::{File, NewFile};
use crate::files::{quota, refuse, repo, sniff, sweep};
use crate::http::body::Body;
use crate::http::multipart;
use crate::ports::blobs::{BlobError, BlobErrorKind, BlobInfo, BlobKey, ByteRange, PutTerms};
use crate::ports::blobs_ext::next_piece;

/// After how many seconds an upload through this server that came to nothing, because the server died, is swept. It
/// exceeds what the longest upload may take.
const SWEEP_SECONDS: i64 = 24 * 60 * 60;

/// Takes in a file of unknown length, as a stream.
///
/// # Errors
/// 400, 413, 415, 503; nothing of the file is left then.
pub async fn stream(app: &App, owner: &str, new: NewFile, body: Body) -> Result<File, Error> {
    let (head, body) = sniff::peek(body).await?;
    let media_type = sniff::settle(&new.media_type, &head)?;
    store(app, owner, NewFile { media_type, ..new }, None, body).await
}

/// Takes in a file that is in memory.
///
/// # Errors
/// As [`stream`].
pub async fn bytes(app: &App, owner: &str, new: NewFile, bytes: Bytes) -> Result<File, Error> {
    let media_type = sniff::settle(&new.media_type, &bytes)?;
    let size = bytes.len() as u64;
    store(app, owner, NewFile { media_type, size, ..new }, Some(size), bytes.into()).await
}

async fn store(app: &App, owner: &str, new: NewFile, length: Option<u64>, body: Body) -> Result<File, Error> {
    let file = File::pending(app.new_id()?, owner, new, app.now());
    let left = repo::begin(app, &file, app.now().plus_seconds(SWEEP_SECONDS)).await?;
    let outcome = receive(app, &file, length, left, body).await;
    if outcome.is_err() {
        sweep::abandon(app, &file).await;
    }
    outcome
}

/// Stores the bytes of a pending file, and makes it ready.
async fn receive(app: &App, file: &File, length: Option<u64>, left: u64, body: Body) -> Result<File, Error> {
    let most = app.settings.max_upload_bytes;
    // What is reserved already is no more to be had from what is left.
    let max_length = length.unwrap_or(most.min(left));
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let terms = PutTerms { length, ..PutTerms::up_to(max_length, &file.media_type) };
    let info = app.ports.blobs.put(&key, &terms, body).await.map_err(|error| match error.kind {
        BlobErrorKind::TooLarge if max_length < most => quota::exceeded(app.settings.user_quota),
        BlobErrorKind::TooLarge => multipart::too_large(most),
        _ => refuse(error),
    })?;
    let hash = hex(&hash_of(app, &key, &info).await?);
    repo::finish(app, &File { size: info.length, hash, ..file.clone() }).await
}

/// The SHA-256 of a blob: as the store knows it, else of its bytes.
///
/// # Errors
/// 404 if there are no bytes, 503.
pub async fn hash_of(app: &App, key: &BlobKey, info: &BlobInfo) -> Result<[u8; 32], Error> {
    if let Some(hash) = info.sha256 {
        return Ok(hash);
    }
    let blob = app.ports.blobs.get(key, None).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    hash_of_body(blob.body).await.map_err(unreadable)
}

/// The SHA-256 of what a body brings.
///
/// # Errors
/// `Interrupted` when it breaks off.
pub async fn hash_of_body(mut body: Body) -> Result<[u8; 32], BlobError> {
    let mut hash = Sha256::new();
    while let Some(piece) = next_piece(&mut body).await? {
        hash.update(&piece);
    }
    Ok(hash.finalize().into())
}

/// How a blob begins.
///
/// # Errors
/// As [`hash_of`].
pub async fn head_of(app: &App, key: &BlobKey, info: &BlobInfo) -> Result<Bytes, Error> {
    let Some(last) = info.length.min(sniff::HEAD_BYTES as u64).checked_sub(1) else {
        return Ok(Bytes::new());
    };
    let range = Some(ByteRange { first: 0, last });
    let blob = app.ports.blobs.get(key, range).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    blob.body.read(sniff::HEAD_BYTES, None).await.map_err(|_| unavailable())
}

fn unreadable(error: BlobError) -> Error {
    unavailable().caused_by(error)
}

fn unavailable() -> Error {
    Error::unavailable("storage_unavailable", "the storage broke off: try again shortly", 2)
}
