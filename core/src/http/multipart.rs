//! Uploads by form (`multipart/form-data`, RFC 7578): the one field that holds the file, as a stream.
//!
//! Nothing of the file is kept in memory here. Other fields are passed over, up to [`MAX_OVERHEAD_BYTES`] of them before
//! the file and as many behind it: what a part's head takes is in memory, and no head may go on for long.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::StatusCode;
use http::header::{self, HeaderMap};
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::body::{Body, BodyError};
use super::request::{announced_length, refuse_coded};
use crate::error::Error;
use crate::ports::blobs_ext::next_piece;

/// The name of the field that holds the file.
pub const FIELD: &str = "file";

/// The most bytes that a form may have before its file, and behind it.
pub const MAX_OVERHEAD_BYTES: u64 = 256 * 1024;

/// The most fields that are passed over.
const MAX_FIELDS: usize = 1000;

/// The file of a form.
#[derive(Debug)]
pub struct FormFile {
    /// The file's name, as the client gives it; empty if it does not.
    pub name: String,
    /// The file's media type, if the client gives one.
    pub content_type: Option<String>,
    /// The file's bytes.
    pub body: Body,
}

/// Finds the file in a form, of which it may take up to `max_bytes`.
///
/// # Errors
/// 415 for another content type, 413 for a form that announces to be, or turns out, too long before its file, 400 for one
/// that is malformed or has no file.
pub async fn file(headers: &HeaderMap, body: Body, max_bytes: u64) -> Result<FormFile, Error> {
    refuse_coded(headers)?;
    let boundary = boundary(headers)?;
    let most = max_bytes.saturating_add(2 * MAX_OVERHEAD_BYTES);
    if announced_length(headers).is_some_and(|length| length > most) {
        return Err(too_large(max_bytes));
    }
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
    let taken = Arc::default();
    let form = Multipart::with_constraints(pieces(body, Arc::clone(&taken)).fuse(), boundary, limits);
    let mut form = Form { form, taken, begun: 0, fields: 0 };
    while let Some(field) = form.next_field().await.map_err(|error| refuse(error, max_bytes))? {
        if field.name() == Some(FIELD) {
            return Ok(form_file(field, form));
        }
    }
    Err(Error::bad_request("missing_file", "send the file as the field `file` of the form"))
}

/// 413 for what is longer than it may be.
#[must_use]
pub fn too_large(max_bytes: u64) -> Error {
    let detail = format!("a file has at most {max_bytes} bytes");
    Error::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn boundary(headers: &HeaderMap) -> Result<String, Error> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(Error::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the file as `Content-Type: multipart/form-data`",
        ));
    }
    multer::parse_boundary(value).map_err(|error| malformed().caused_by(error))
}

/// A form, how many of its bytes were taken in, how many when the search began that goes on, and the fields so far.
struct Form {
    form: Multipart<'static>,
    taken: Arc<AtomicU64>,
    begun: u64,
    fields: usize,
}

impl Form {
    /// Finds the next field. All that is looked through in a search, a head that does not end included, has a limit.
    async fn next_field(&mut self) -> multer::Result<Option<Field<'static>>> {
        self.fields += 1;
        let too_many = self.fields > MAX_FIELDS;
        poll_fn(|context| match self.form.poll_next_field(context) {
            // How much of what was taken in is the file's is known only where more is needed to go on.
            Poll::Pending | Poll::Ready(Ok(Some(_))) if too_many => {
                Poll::Ready(Err(multer::Error::StreamSizeExceeded { limit: MAX_OVERHEAD_BYTES }))
            }
            Poll::Pending if self.taken() - self.begun > MAX_OVERHEAD_BYTES => {
                Poll::Ready(Err(multer::Error::StreamSizeExceeded { limit: MAX_OVERHEAD_BYTES }))
            }
            polled => polled,
        })
        .await
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn form_file(field: Field<'static>, form: Form) -> FormFile {
    let name = field.file_name().unwrap_or_default().to_owned();
    let content_type = field.content_type().map(|media| media.essence_str().to_owned());
    FormFile { name, content_type, body: Body::stream(file_then_rest(field, form)) }
}

/// The file's bytes; after the last, the rest of the form is read too, so that a form which breaks off counts as
/// broken, and a connection can serve the next request.
fn file_then_rest(field: Field<'static>, form: Form) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    stream::unfold(Some((field, form)), |state| async {
        let (mut field, mut form) = state?;
        match field.next().await {
            Some(Ok(piece)) => Some((Ok(piece), Some((field, form)))),
            Some(Err(error)) => Some((Err(broken(&error)), None)),
            None => {
                drop(field);
                rest(&mut form).await.err().map(|error| (Err(error), None))
            }
        }
    })
}

async fn rest(form: &mut Form) -> Result<(), BodyError> {
    form.begun = form.taken();
    while form.next_field().await.map_err(|error| broken(&error))?.is_some() {}
    Ok(())
}

fn broken(error: &multer::Error) -> BodyError {
    BodyError::new(error.to_string())
}

/// A body as multer takes it, counted.
fn pieces(body: Body, taken: Arc<AtomicU64>) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    stream::unfold((body, taken), |(mut body, taken)| async {
        let piece = next_piece(&mut body).await.map_err(|error| BodyError::new(error.to_string()));
        if let Ok(Some(piece)) = &piece {
            taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        Some((piece.transpose()?, (body, taken)))
    })
}

fn refuse(error: multer::Error, max_bytes: u64) -> Error {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            too_large(max_bytes)
        }
        error => malformed().caused_by(error),
    }
}

fn malformed() -> Error {
    Error::bad_request("malformed_multipart", "the form is malformed, or broke off")
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use http::HeaderValue;

    use super::*;

    fn read(content_type: &'static str, body: &str, max: u64) -> Result<(FormFile, String), &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = Body::from(body.replace('\n', "\r\n").into_bytes());
        let mut file = block_on(file(&headers, body, max)).map_err(|error| error.code)?;
        let bytes =
            block_on(std::mem::take(&mut file.body).read(1 << 20, None)).map_err(|_| "interrupted")?;
        Ok((file, String::from_utf8_lossy(&bytes).into_owned()))
    }

    const FORM: &str = "multipart/form-data; boundary=x";

    #[test]
    fn the_file_is_found_among_other_fields() {
        let body = "--x\nContent-Disposition: form-data; name=\"a\"\n\n1\n\
                    --x\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"\nContent-Type: text/plain\n\nhello\n\
                    --x\nContent-Disposition: form-data; name=\"b\"\n\n2\n--x--\n";
        let (file, text) = read(FORM, body, 100).unwrap();
        assert_eq!((file.name.as_str(), file.content_type.as_deref()), ("a b.txt", Some("text/plain")));
        assert_eq!(text, "hello");
    }

    #[test]
    fn other_forms_are_refused() {
        let other = "--x\nContent-Disposition: form-data; name=\"a\"\n\n1\n--x--\n";
        assert_eq!(read(FORM, other, 100).unwrap_err(), "missing_file");
        assert_eq!(read(FORM, "--x--\n", 100).unwrap_err(), "missing_file");
        assert_eq!(read(FORM, "", 100).unwrap_err(), "malformed_multipart");
        assert_eq!(read(FORM, "{}", 100).unwrap_err(), "malformed_multipart");
        assert_eq!(read("multipart/form-data", other, 100).unwrap_err(), "malformed_multipart");
        assert_eq!(read("application/json", "{}", 100).unwrap_err(), "unsupported_media_type");
        let long =
            format!("--x\nContent-Disposition: form-data; name=\"a\"\n\n{}\n--x--\n", "1".repeat(600_000));
        assert_eq!(read(FORM, &long, 100).unwrap_err(), "body_too_large");
    }

    /// A body that comes in pieces, with a pause before each, for as long as somebody wants more of it.
    fn endless(head: &'static str, piece: &'static [u8]) -> Body {
        let first = stream::iter([Ok(Bytes::from_static(head.as_bytes()))]);
        Body::stream(first.chain(stream::repeat_with(move || Ok(Bytes::from_static(piece))).then(
            |piece| async {
                let mut paused = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                piece
            },
        )))
    }

    #[test]
    fn nothing_but_the_file_goes_on_for_long() {
        const PIECE: &[u8] = &[b'x'; 16 * 1024];
        let headers = || HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(FORM))]);
        for before in ["", "--x\r\nX: ", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"] {
            let refused = block_on(file(&headers(), endless(before, PIECE), u64::MAX / 2)).unwrap_err();
            assert_eq!(refused.code, "body_too_large", "{before:?}");
        }
        let head = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello\r\n--x\r\nX: ";
        for piece in [PIECE, b"\r\n\r\nx\r\n--x\r\nX: y"] {
            let found = block_on(file(&headers(), endless(head, piece), u64::MAX / 2)).unwrap();
            assert!(block_on(found.body.read(1 << 20, None)).is_err(), "what is behind the file never ends");
        }
    }

    #[test]
    fn a_form_that_breaks_off_is_broken() {
        let head = "--x\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\n\nhello";
        assert_eq!(read(FORM, head, 100).unwrap_err(), "interrupted");
        assert_eq!(read(FORM, &format!("{head}\n--x\n"), 100).unwrap_err(), "interrupted");
    }
}
