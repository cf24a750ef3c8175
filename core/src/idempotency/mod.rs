//! `Idempotency-Key`: a request that is sent again under its key is not done again; its first answer is given again.
//!
//! Follows the Idempotency-Key header draft. A key belongs to whoever sent it: the signed-in user, or on public routes
//! the client's address. The answer may hold tokens, and is kept sealed; see [`sealed`].

pub mod key;
pub mod record;
pub mod sealed;

use std::sync::Arc;

use base16ct::lower::encode_string as hex;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::App;
use crate::error::Error;
use crate::files::{refuse, uploads};
use crate::http::client_addr::source_key;
use crate::http::multipart;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::http::routes::Route;
use record::{Run, Start};
use sealed::Answer;

static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What of a request its fingerprint covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// The route does not heed keys.
    No,
    /// The body, of up to so many bytes.
    Body(usize),
    /// What is announced of a file that is too long to be held: its type and length. Sent again, its bytes are compared.
    Announced,
}

/// Answers a request of a route that heeds keys: by its handler, or as the first time.
///
/// # Errors
/// The handler's; 400 for a key that is none, 409 while the first request is under way, 422 for a key that was used for
/// another request, 503.
pub async fn answer(
    app: &Arc<App>,
    route: &'static Route,
    target: &str,
    mut request: Request,
) -> Result<Reply, Error> {
    let Some(key) = key::of(&request.headers)? else { return (route.handler)(app, request).await };
    let id = key::record_id(app, &scope(&request), key);
    let fingerprint = fingerprint(app, route, target, &mut request).await?;
    let lease = if route.keyed == Keyed::Announced { record::LONG_LEASE } else { record::LEASE };
    match record::start(app, &id, &fingerprint, lease).await? {
        Start::Replay(answer) => {
            if route.keyed == Keyed::Announced {
                check_file(app, request, &answer).await?;
            }
            Ok(replayed(answer))
        }
        Start::Run(run) => {
            let request_id = request.id.clone();
            let outcome = (route.handler)(app, request).await;
            keep(app, route, &run, outcome, &request_id).await
        }
    }
}

/// Two streams may announce the same: what comes now is compared with the file that the first became.
async fn check_file(app: &App, mut request: Request, answer: &Answer) -> Result<(), Error> {
    let body = request.take_body();
    let form = multipart::file(&request.headers, body, app.settings.max_upload_bytes).await?;
    let hash = uploads::hash_of_body(form.body).await.map_err(refuse)?;
    if answer.member("hash").as_deref() == Some(&hex(&hash)) { Ok(()) } else { Err(record::reused()) }
}

/// Whose key it is.
fn scope(request: &Request) -> String {
    match request.caller() {
        Ok(caller) => format!("user/{}", caller.user_id),
        Err(_) => format!("address/{}", source_key(request.client.addr)),
    }
}

/// Identifies what is asked. A body that is covered is read, and handed on.
async fn fingerprint(app: &App, route: &Route, target: &str, request: &mut Request) -> Result<String, Error> {
    let content = match route.keyed {
        Keyed::No => Vec::new(),
        Keyed::Announced => key::announced(&request.headers),
        Keyed::Body(most) => {
            let bytes = request.read_body(most).await?;
            request.set_body(bytes.clone().into());
            bytes.into()
        }
    };
    Ok(key::fingerprint(app, &route.method, target, &content))
}

/// Keeps an answer that stands, and frees the key of one that does not.
async fn keep(
    app: &Arc<App>,
    route: &Route,
    run: &Run,
    outcome: Result<Reply, Error>,
    request_id: &str,
) -> Result<Reply, Error> {
    let answer = match &outcome {
        Ok(reply) => Answer::of(reply),
        Err(error) if stands(route, error) => Answer::of(&reply::problem(error, request_id)),
        Err(_) => None,
    };
    let kept = match answer {
        Some(answer) => record::finish(app, run, &answer).await,
        None => record::free(app, run).await,
    };
    if let Err(error) = kept {
        // The request itself is done: only sending it again would not be noticed.
        tracing::warn!(%error, "an answer could not be kept under its idempotency key");
    }
    outcome
}

/// Whether a refusal would be the same another time. One of a stream may be the connection's fault.
fn stands(route: &Route, error: &Error) -> bool {
    let passing = matches!(error.status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    let lasting = !passing && error.status.is_client_error() && error.code != "conflict";
    lasting && route.keyed != Keyed::Announced
}

fn replayed(answer: Answer) -> Reply {
    let mut reply = answer.into_reply();
    reply.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    reply
}
