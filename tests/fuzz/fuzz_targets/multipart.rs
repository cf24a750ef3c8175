//! Uploads by form: what arrives in pieces is what arrives at once, and a well-formed form gives its file.
//!
//! The bytes of the first line are the lengths of the pieces. The second line is a `Content-Type`, of which the rest is a
//! body; or `name=` and the file's name, of which the rest is fields, with `%%` on a line of its own between two.
#![no_main]

use bytes::Bytes;
use futures::executor::block_on;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portico_core::http::body::Body;
use portico_core::http::multipart;
use portico_fuzz::script::{cut, split};

const BOUNDARY: &str = "portico-boundary";

const FORM: &str = "multipart/form-data; boundary=portico-boundary";

/// More than any input has: where a limit is found depends on how the bytes arrive.
const MAX_BYTES: u64 = 1 << 24;

#[derive(Debug, PartialEq, Eq)]
struct File {
    name: String,
    content_type: Option<String>,
    content: Result<Bytes, ()>,
}

fuzz_target!(|text: &[u8]| {
    let Some((pieces, rest)) = cut(text, b"\n") else { return };
    let Some((head, rest)) = cut(rest, b"\n") else { return };
    let Ok(head) = std::str::from_utf8(head) else { return };
    match head.strip_prefix("name=") {
        Some(name) => well_formed(pieces, name, rest),
        None => raw(pieces, if head.is_empty() { FORM } else { head }, rest),
    }
});

fn raw(pieces: &[u8], content_type: &str, body: &[u8]) {
    let whole = read(content_type, body, &[]);
    assert_eq!(whole, read(content_type, body, pieces), "the pieces matter");
    if let Err((status, _)) = whole {
        assert!(matches!(status, 400 | 415), "{status}");
    }
}

/// The file stands between the other fields.
fn well_formed(pieces: &[u8], name: &str, text: &[u8]) {
    let name: String = name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    let values = split(text, b"\n%%\n");
    let (before, rest) = values.split_at(values.len() / 2);
    let (content, after) = rest.split_first().expect("half of at least one is less than all");
    let Some(body) = written(before, &name, content, after) else { return };
    let file = read(FORM, &body, pieces).expect("a well-formed form is read");
    let content_type = Some("text/plain".to_owned());
    let content = Ok(Bytes::copy_from_slice(content));
    assert_eq!(file, File { name, content_type, content });
}

/// Reads a form that arrives in pieces of these lengths, and then byte by byte; at once, if there are none.
fn read(content_type: &str, body: &[u8], pieces: &[u8]) -> Result<File, (u16, &'static str)> {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    let found = block_on(multipart::file(&headers, arriving(body, pieces), MAX_BYTES));
    let file = found.map_err(|error| (error.status.as_u16(), error.code))?;
    let content = block_on(file.body.read(1 << 25, None)).map_err(drop);
    Ok(File { name: file.name, content_type: file.content_type, content })
}

fn arriving(body: &[u8], lengths: &[u8]) -> Body {
    if lengths.is_empty() {
        return Body::from(body.to_vec());
    }
    let (mut pieces, mut rest) = (Vec::new(), Bytes::copy_from_slice(body));
    for length in lengths.iter().map(|length| usize::from(*length)).chain(std::iter::repeat(1)) {
        if rest.is_empty() {
            break;
        }
        pieces.push(Ok(rest.split_to(length.min(rest.len()))));
    }
    Body::stream(stream::iter(pieces))
}

/// The form; `None` if a field holds the boundary.
fn written(before: &[&[u8]], name: &str, content: &[u8], after: &[&[u8]]) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    let mut field = |head: &str, value: &[u8]| {
        let own = BOUNDARY.as_bytes();
        (!value.windows(own.len()).any(|window| window == own)).then(|| {
            form.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
            form.extend_from_slice(value);
            form.extend_from_slice(b"\r\n");
        })
    };
    for value in before {
        field("Content-Disposition: form-data; name=\"other\"", value)?;
    }
    let head = format!(
        "Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain"
    );
    if name.contains(BOUNDARY) {
        return None;
    }
    field(&head, content)?;
    for value in after {
        field("Content-Disposition: form-data; name=\"other\"", value)?;
    }
    form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Some(form)
}
