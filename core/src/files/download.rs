//! Answering with a file's bytes, if they are those that it was completed with.

use crate::App;
use crate::error::Error;
use crate::files::model::File;
use crate::files::{refuse, sniff};
use crate::http::disposition;
use crate::http::reply::Reply;
use crate::http::representation::{Representation, Selection};
use crate::http::request::Request;
use crate::ports::blobs::{Blob, ByteRange};

/// Answers with a file, as the request's conditions and range want it.
///
/// # Errors
/// 404 if there are no bytes, 503. That a range is not there is an answer, with the length in `Content-Range`.
pub async fn answer(app: &App, request: &Request, file: &File) -> Result<Reply, Error> {
    let (etag, disposition) = (file.etag(), disposition::attachment(&file.name));
    let representation = Representation {
        length: file.size,
        content_type: media_type(file),
        disposition: &disposition,
        etag: etag.as_deref(),
    };
    match representation.select(request) {
        Selection::Bytes(part) => {
            let blob = open(app, file, part).await?;
            Ok(representation.reply(part, blob.body))
        }
        Selection::Nothing(reply) => Ok(reply),
    }
}

/// Opens a file's bytes, or a part of them.
///
/// # Errors
/// 404, also for other bytes than it was completed with; 503.
pub async fn open(app: &App, file: &File, part: Option<ByteRange>) -> Result<Blob, Error> {
    let key = file.blob_key().ok_or_else(Error::not_found)?;
    let blob = app.ports.blobs.get(&key, part).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    if file.is_made_of(&blob.info) {
        return Ok(blob);
    }
    tracing::error!(file_id = file.file_id, "a file's bytes were replaced behind this service's back");
    Err(Error::not_found())
}

/// The type that a file is served with.
#[must_use]
pub fn media_type(file: &File) -> &str {
    if sniff::media_type(&file.media_type).is_some() { &file.media_type } else { sniff::UNKNOWN }
}
