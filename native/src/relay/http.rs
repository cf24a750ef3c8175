//! What the relay answers: `POST /messages`, and a health check for probes. Refusals have the form that core's have.

use std::sync::Arc;

use ::http::header::HeaderMap;
use ::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use portico_core::auth::{access, mac};
use portico_core::error::Error;
use portico_core::http::body::Body;
use portico_core::http::reply::{self, Reply};
use portico_core::http::request::read_json;
use portico_core::http::request_id;
use portico_core::http::router::refuse_too_long;
use serde::Serialize;

use super::Relay;
use super::message::Submission;
use super::outbox::{self, Novelty};
use crate::server::Handler;
use crate::server::service;

/// Where messages are posted.
pub const MESSAGES: &str = "/messages";

/// Tells that the process lives, where the server does so too.
const PING: &str = "/v1/health-check/ping";

/// The longest body, in bytes; sealed and as text, what is in it fits into an item.
const MAX_BODY_BYTES: usize = 256 * 1024;

static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a message that was taken over.
#[derive(Serialize)]
struct Accepted<'a> {
    message_id: &'a str,
}

impl Handler for Relay {
    async fn answer(self: &Arc<Self>, request: Request<Body>) -> Response<Body> {
        let id = service::request_id(request.headers());
        let head = request.method() == Method::HEAD;
        let mut reply = match dispatch(self, request).await {
            Ok(reply) => reply,
            Err(error) => refuse(&error, &id),
        };
        request_id::set(reply.headers_mut(), &id);
        reply::protect(reply.headers_mut());
        if head { reply::without_body(reply) } else { reply }
    }
}

async fn dispatch(relay: &Arc<Relay>, request: Request<Body>) -> Result<Reply, Error> {
    refuse_too_long(&request)?;
    let (parts, body) = request.into_parts();
    match parts.uri.path() {
        MESSAGES => {
            allow(&parts.method, &[Method::POST])?;
            authorize(relay, &parts.headers)?;
            post(relay, &parts.headers, body).await
        }
        PING => {
            allow(&parts.method, &[Method::GET, Method::HEAD])?;
            reply::message("pong")
        }
        _ => Err(Error::new(StatusCode::NOT_FOUND, "not_found", "messages are taken by `POST /messages`")),
    }
}

/// `POST /messages`
///
/// 202 once the message is on the disk; a second one of the same id is taken for the first, whatever it says.
async fn post(relay: &Arc<Relay>, headers: &HeaderMap, body: Body) -> Result<Reply, Error> {
    let submission: Submission = read_json(headers, body, MAX_BODY_BYTES).await?;
    let mail = submission.into_mail(&relay.from)?;
    let novelty = outbox::take_over(relay, &mail).await?;
    let mut reply = reply::json(StatusCode::ACCEPTED, &Accepted { message_id: &mail.id })?;
    tracing::info!(message_id = mail.id, known = novelty == Novelty::Known, "a message was taken over");
    if novelty == Novelty::Known {
        reply.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply)
}

fn allow(method: &Method, allowed: &[Method]) -> Result<(), Error> {
    if allowed.contains(method) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    Err(Error {
        allow: Some(names.join(", ")),
        ..Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not answer this method: see `Allow`",
        )
    })
}

/// Admits whoever knows the token; what is compared is as long, whatever was sent.
fn authorize(relay: &Relay, headers: &HeaderMap) -> Result<(), Error> {
    let token = access::bearer(headers).map_err(|error| Error {
        detail: "send the relay's token as `Authorization: Bearer …`".into(),
        ..error
    })?;
    if mac::equal(&mac::tag(&relay.key, &[token.as_bytes()]), &relay.token) {
        return Ok(());
    }
    Err(Error::invalid_token("invalid_token", "this is not the relay's token: compare MAIL_RELAY_TOKEN"))
}

fn refuse(error: &Error, id: &str) -> Reply {
    if error.status.is_server_error() {
        let source = error.source.as_ref().map(tracing::field::display);
        tracing::error!(request_id = id, code = error.code, source, "a request failed");
    }
    reply::problem(error, id)
}
