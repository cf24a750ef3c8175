//! Whether bytes are what they are said to be: images and PDF, told by how they begin.
//!
//! Everything else is taken at its word: downloads are attachments that no browser sniffs.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use http::StatusCode;
use infer::{archive, image};

use crate::error::Error;
use crate::files::refuse;
use crate::http::body::{Body, BodyError};
use crate::ports::blobs_ext::next_piece;

/// The type of which nothing is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// How many bytes it takes to tell.
pub const HEAD_BYTES: usize = 64;

type Signature = (&'static str, fn(&[u8]) -> bool);

/// Types whose beginning cannot be anything else.
const SIGNATURES: [Signature; 7] = [
    ("image/png", image::is_png),
    ("image/jpeg", image::is_jpeg),
    ("image/gif", image::is_gif),
    ("image/webp", image::is_webp),
    ("image/avif", image::is_avif),
    ("image/heif", image::is_heif),
    ("application/pdf", archive::is_pdf),
];

/// The type to keep for bytes that begin like this and are said to be of a type.
///
/// # Behavior
/// What is said to be of no type in particular becomes what it is.
///
/// # Errors
/// 415 `type_mismatch` for bytes that are, or are said to be, an image or a PDF, and not both the same.
pub fn settle(declared: &str, head: &[u8]) -> Result<String, Error> {
    let (declared, found) = (canonical(declared), find(head));
    if declared == UNKNOWN {
        return Ok(found.unwrap_or(UNKNOWN).to_owned());
    }
    let known = SIGNATURES.iter().any(|(media, _)| *media == family(&declared));
    let agrees = match found {
        Some(found) => found == family(&declared) || is_kindred(&declared, found),
        None => !known,
    };
    if agrees { Ok(declared) } else { Err(mismatch()) }
}

/// Reads a media type without its parameters (RFC 9110, section 8.3.1); `None` for what is none.
#[must_use]
pub fn media_type(text: &str) -> Option<String> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let (kind, subtype) = essence.split_once('/')?;
    (essence.len() <= 127 && token(kind) && token(subtype)).then(|| essence.to_ascii_lowercase())
}

/// Takes the first bytes of a body, and gives the body back whole.
///
/// # Errors
/// 400 when it breaks off before.
pub async fn peek(mut body: Body) -> Result<(Bytes, Body), Error> {
    let mut head = BytesMut::new();
    while head.len() < HEAD_BYTES {
        match next_piece(&mut body).await.map_err(refuse)? {
            Some(piece) => head.extend_from_slice(&piece),
            None => break,
        }
    }
    let head = head.freeze();
    let first = stream::iter((!head.is_empty()).then(|| Ok(head.clone())));
    let rest = stream::unfold(body, |mut body| async {
        let piece = next_piece(&mut body).await.map_err(|error| BodyError::new(error.to_string()));
        Some((piece.transpose()?, body))
    });
    Ok((head, Body::stream(first.chain(rest))))
}

fn find(head: &[u8]) -> Option<&'static str> {
    SIGNATURES.iter().find(|(_, begins)| begins(head)).map(|(media, _)| *media)
}

/// One name for types that have several; [`UNKNOWN`] for none.
fn canonical(declared: &str) -> String {
    let media = media_type(declared).unwrap_or_default();
    match media.as_str() {
        "" | "binary/octet-stream" => UNKNOWN.to_owned(),
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "application/x-pdf" => "application/pdf".to_owned(),
        _ => media,
    }
}

/// Types that begin alike.
fn family(media: &str) -> &str {
    match media {
        "image/heic" | "image/heic-sequence" | "image/heif-sequence" => "image/heif",
        "image/apng" => "image/png",
        other => other,
    }
}

/// Whether a type that is not known here may begin like a known one: an image of another kind like an image.
fn is_kindred(declared: &str, found: &str) -> bool {
    let special = declared.starts_with("image/x-") || declared.starts_with("image/vnd.");
    let built_on_pdf = matches!(declared, "application/illustrator" | "application/postscript");
    (special && found.starts_with("image/")) || (built_on_pdf && found == "application/pdf")
}

fn mismatch() -> Error {
    Error::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "type_mismatch",
        "the bytes are not of the type that they are said to be",
    )
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const PDF: &[u8] = b"%PDF-1.7\n";

    #[test]
    fn what_agrees_is_kept() {
        for (declared, head, kept) in [
            ("image/png", PNG, "image/png"),
            ("IMAGE/PNG; q=1", PNG, "image/png"),
            ("image/jpg", JPEG, "image/jpeg"),
            ("application/pdf", PDF, "application/pdf"),
            ("application/octet-stream", PDF, "application/pdf"),
            ("", PNG, "image/png"),
            ("nonsense", b"hello", UNKNOWN),
            ("text/plain", b"hello", "text/plain"),
            ("text/plain", b"BM is two letters of a bitmap", "text/plain"),
            ("image/svg+xml", b"<svg/>", "image/svg+xml"),
            ("image/x-canon-cr3", JPEG, "image/x-canon-cr3"),
            ("text/html", b"", "text/html"),
        ] {
            assert_eq!(settle(declared, head).unwrap(), kept, "{declared}");
        }
    }

    #[test]
    fn what_does_not_agree_is_refused() {
        let cases: [(&str, &[u8]); 7] = [
            ("image/png", JPEG),
            ("image/png", b"<script>"),
            ("image/png", b""),
            ("application/pdf", b"MZ\x90\0"),
            ("text/html", PDF),
            ("text/plain", PNG),
            ("image/svg+xml", PNG),
        ];
        for (declared, head) in cases {
            assert_eq!(settle(declared, head).unwrap_err().code, "type_mismatch", "{declared}");
        }
    }

    #[test]
    fn media_types_are_tokens() {
        assert_eq!(media_type("Text/HTML; charset=utf-8").as_deref(), Some("text/html"));
        for wrong in ["", "text", "text/", "/html", "text/ht ml", "te\u{e4}/x", "a/b/c", "text/html\r\nx: y"]
        {
            assert_eq!(media_type(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn looking_takes_nothing_away() {
        for pieces in [vec![], vec!["ab"], vec!["a"; 100], vec!["ab", "", "cd"]] {
            let whole = pieces.concat();
            // Such a stream must not be asked beyond its end.
            let body = Body::stream(stream::unfold(pieces.into_iter(), |mut pieces| async {
                pieces.next().map(|piece| (Ok(Bytes::from(piece)), pieces))
            }));
            let (head, body) = block_on(peek(body)).unwrap();
            assert!(whole.as_bytes().starts_with(&head) && head.len() >= whole.len().min(HEAD_BYTES));
            assert_eq!(block_on(body.read(1000, None)).unwrap(), whole.as_bytes());
        }
    }
}
