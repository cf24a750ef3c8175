//! Requests written as text, as a person would write them and a fuzzer can change them:
//!
//! ```text
//! PATCH /v1/users/{ada}
//! Authorization: Bearer {user}
//!
//! {"first_name": "Grace"}
//! %%
//! GET /v1/users/me
//! ```
//!
//! Requests are separated by `%%` on a line of its own. Placeholders stand for what is in the
//! [`World`](crate::world::World); `{last}` is the `id` of the last answer that had one. A line `!3600` before a request
//! lets an hour pass.

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use portico_core::http::body::Body;

use crate::world::World;

/// The most requests of one script.
const MAX_REQUESTS: usize = 8;

/// The methods that HTTP servers see most; others are seldom sent on by what stands before them.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Sends every request of a script that is HTTP at all.
///
/// # Panics
/// When an answer breaks the contract.
pub fn run(world: &mut World, text: &[u8]) {
    for part in split(text, b"\n%%\n").into_iter().take(MAX_REQUESTS) {
        let part = filled(world, part);
        let Some(request) = read(world, &part) else { continue };
        let answer = world.answer(request);
        if let Some(id) = answer.json()["id"].as_str() {
            for (name, value) in &mut world.names {
                if *name == "{last}" {
                    id.clone_into(value);
                }
            }
        }
    }
}

/// Reads one request; `None` for what no HTTP server would hand on.
fn read(world: &World, mut text: &[u8]) -> Option<Request<Body>> {
    if let Some(rest) = text.strip_prefix(b"!") {
        let (seconds, rest) = cut(rest, b"\n")?;
        world.wait(std::str::from_utf8(seconds).ok()?.parse().ok()?);
        text = rest;
    }
    let (head, body) = cut(text, b"\n\n").unwrap_or((text, &[]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = cut(lines.next()?, b" ")?;
    let method = METHODS.into_iter().find(|known| known.as_str().as_bytes() == method)?;
    let target = Uri::try_from(target).ok().filter(|uri| uri.path().starts_with('/'))?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = cut(line, b":")?;
        let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
        request = request.header(HeaderName::from_bytes(name).ok()?, value);
    }
    request.body(Body::from(body.to_vec())).ok()
}

/// The text with what its placeholders stand for.
fn filled(world: &World, text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for (name, value) in &world.names {
        if find(&text, name.as_bytes()).is_some() {
            text = split(&text, name.as_bytes()).join(value.as_bytes());
        }
    }
    text
}

/// The parts between separators.
#[must_use]
pub fn split<'text>(mut text: &'text [u8], separator: &[u8]) -> Vec<&'text [u8]> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = cut(text, separator) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// What stands before and after the first separator.
#[must_use]
pub fn cut<'text>(text: &'text [u8], separator: &[u8]) -> Option<(&'text [u8], &'text [u8])> {
    let at = find(text, separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// Where something stands first.
#[must_use]
pub fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
