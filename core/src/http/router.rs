//! From a request to its handler: path and method, rate limit, sign-in, access rule; and what every answer carries.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::body::Body;
use super::client::Client;
use super::client_addr::source_key;
use super::cors;
use super::reply::{self, Reply};
use super::request::Request;
use super::request_id;
use super::routes::{ROUTES, Route};
use crate::App;
use crate::auth::access;
use crate::error::Error;
use crate::idempotency::{self, Keyed};
use crate::ports::limiter::RateDecision;

/// The longest path and query, in bytes.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// The longest header block, in bytes.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// What each header costs besides its name and value (RFC 9113, section 6.5.2).
const HEADER_OVERHEAD: usize = 32;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The route table, arranged for look-up.
#[derive(Debug)]
pub struct Router {
    paths: matchit::Router<Vec<&'static Route>>,
}

impl Router {
    /// Arranges [`ROUTES`].
    ///
    /// # Errors
    /// When two paths contradict each other; a test proves that ours do not.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut by_path: Vec<(&'static str, Vec<&'static Route>)> = Vec::new();
        for route in ROUTES {
            match by_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, routes)) => routes.push(route),
                None => by_path.push((route.path, vec![route])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, routes) in by_path {
            paths.insert(path, routes)?;
        }
        Ok(Self { paths })
    }

    /// The path with its parameters unfilled, as the API description has it.
    #[must_use]
    pub fn template(&self, path: &str) -> Option<&'static str> {
        self.find(path).and_then(|(routes, _)| routes.first().map(|route| route.path))
    }

    /// The routes of a path, and its parameters.
    fn find(&self, path: &str) -> Option<(&[&'static Route], Vec<(String, String)>)> {
        let found = self.paths.at(path).ok()?;
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some((found.value, params))
    }
}

/// Answers a request. Never fails: every failure is an answer.
pub(crate) async fn handle(app: &Arc<App>, request: http::Request<Body>) -> Reply {
    let id = request_id::of(request.headers(), &*app.ports.clock, &*app.ports.entropy);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let head = request.method() == Method::HEAD;
    let mut limits = HeaderMap::new();
    let mut reply = match dispatch(app, &id, request, &mut limits).await {
        Ok(reply) => reply,
        Err(error) => {
            log_failure(&id, &error);
            reply::problem(&error, &id)
        }
    };
    reply.headers_mut().extend(limits);
    finish(app, &mut reply, &id, origin.as_ref());
    if head { reply::without_body(reply) } else { reply }
}

async fn dispatch(
    app: &Arc<App>,
    id: &str,
    request: http::Request<Body>,
    limits: &mut HeaderMap,
) -> Result<Reply, Error> {
    refuse_too_long(&request)?;
    let (routes, params) = app.router.find(request.uri().path()).ok_or_else(Error::not_found)?;
    if request.method() == Method::OPTIONS {
        return Ok(cors::preflight(&allowed_methods(routes)));
    }
    let route = select(routes, request.method())?;
    let client = Client::of(&request);
    if route.limited {
        limit(app, &client, limits).await?;
    }
    let head = *request.method() == Method::HEAD;
    let (mut parts, body) = request.into_parts();
    if head {
        // Ranges are defined for GET alone (RFC 9110, section 14.2).
        parts.headers.remove(header::RANGE);
    }
    let caller = access::admit(app, route, &parts.headers, &params).await?;
    let query = parts.uri.query().map(str::to_owned);
    let request = Request { id: id.to_owned(), headers: parts.headers, client, params, query, caller, body };
    if route.keyed == Keyed::No {
        return (route.handler)(app, request).await;
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    // Boxed, for what every other request would otherwise carry along is three times as large.
    Box::pin(idempotency::answer(app, route, target, request)).await
}

/// Refuses a request with more headers, or a longer target, than any client needs.
///
/// # Errors
/// 431, 414.
pub fn refuse_too_long<B>(request: &http::Request<B>) -> Result<(), Error> {
    if request.headers().iter().map(header_bytes).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(Error::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            "the header block is longer than 32 KiB",
        ));
    }
    if request.uri().path_and_query().is_some_and(|text| text.as_str().len() > MAX_URI_BYTES) {
        return Err(Error::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            format!("the path and query are longer than {MAX_URI_BYTES} bytes"),
        ));
    }
    Ok(())
}

fn header_bytes((name, value): (&HeaderName, &HeaderValue)) -> usize {
    name.as_str().len() + value.len() + HEADER_OVERHEAD
}

fn select(routes: &[&'static Route], method: &Method) -> Result<&'static Route, Error> {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    routes.iter().copied().find(|route| route.method == *wanted).ok_or_else(|| Error {
        allow: Some(allowed_methods(routes)),
        ..Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not answer this method: see `Allow`",
        )
    })
}

fn allowed_methods(routes: &[&'static Route]) -> String {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// Takes a permit of the client's address, and says how many are left (the RateLimit header fields draft).
async fn limit(app: &Arc<App>, client: &Client, headers: &mut HeaderMap) -> Result<(), Error> {
    let rate = &app.settings.rate_limit;
    let RateDecision { allowed, remaining, reset_seconds } =
        app.ports.limiter.check(&source_key(client.addr)).await;
    let window = rate.burst.div_ceil(rate.per_second.max(1)).max(1);
    let policy = format!("\"address\";q={};w={window}", rate.burst);
    let state = remaining.map(|remaining| format!("\"address\";r={remaining};t={reset_seconds}"));
    for (name, text) in [(&RATE_LIMIT_POLICY, Some(policy)), (&RATE_LIMIT, state)] {
        if let Some(Ok(value)) = text.as_deref().map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    }
    if allowed {
        return Ok(());
    }
    Err(Error::too_many("rate_limited", "too many requests from your address: slow down", reset_seconds))
}

/// The headers of every answer.
fn finish(app: &App, reply: &mut Reply, id: &str, origin: Option<&HeaderValue>) {
    let headers = reply.headers_mut();
    request_id::set(headers, id);
    reply::protect(headers);
    cors::allow(&app.settings.allowed_origins, origin, headers);
}

fn log_failure(id: &str, error: &Error) {
    let source = error.source.as_ref().map(tracing::field::display);
    // What merely is not configured has no cause behind it, and must not let anybody fill the log.
    if error.status.is_server_error() && error.source.is_some() {
        tracing::error!(request_id = id, code = error.code, source, "a request failed");
    } else {
        tracing::debug!(
            request_id = id,
            code = error.code,
            status = error.status.as_u16(),
            "a request was refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_at_its_own_path() {
        let router = Router::new().unwrap();
        for route in ROUTES {
            let (found, _) = router.find(route.path).unwrap();
            assert!(found.iter().any(|other| other.operation == route.operation), "{}", route.operation);
        }
    }

    #[test]
    fn operations_are_unique() {
        for (index, route) in ROUTES.iter().enumerate() {
            for other in &ROUTES[..index] {
                assert_ne!(route.operation, other.operation);
                assert!(route.path != other.path || route.method != other.method, "{}", route.operation);
            }
        }
    }
}
