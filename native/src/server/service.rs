//! One request: what the host adds before its handler answers it, and what it notes afterwards.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use ipnet::IpNet;
use metrics::Histogram;
use portico_core::App;
use portico_core::error::Error;
use portico_core::http::body::Body;
use portico_core::http::client_addr::{self, ClientAddr};
use portico_core::http::request_id::{self, REQUEST_ID};

use super::body::{self, Lateness};
use crate::clock::SystemClock;
use crate::dev::DevOutbox;
use crate::entropy::SystemEntropy;

pub(crate) static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What answers the requests of a server, as the host prepared them.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. Never fails: every failure is an answer.
    fn answer(self: &Arc<Self>, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

impl Handler for App {
    fn answer(self: &Arc<Self>, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        self.handle(request)
    }
}

/// Answers requests: by the development pages, else by its handler.
#[derive(Debug)]
pub struct Service<H> {
    /// The app, or whatever else is served.
    pub handler: Arc<H>,
    /// The development outbox, if it is shown.
    pub outbox: Option<DevOutbox>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl<H: Handler> Service<H> {
    /// Answers one request; never fails.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Body>, Infallible> {
        let begun = Instant::now();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.respond(request, peer).await;
        note(&method, &uri, &response, begun.elapsed());
        Ok(response)
    }

    async fn respond(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        if let Some(outbox) = &self.outbox
            && outbox.answers(request.method(), request.uri().path())
        {
            let mut response = outbox.answer(request.headers()).await;
            identify(&mut response, request.headers());
            return response;
        }
        let id = request.headers().get(&REQUEST_ID).cloned();
        let (request, late) = self.prepare(request, peer);
        let response = if request.method().is_safe() {
            self.handler.answer(request).await
        } else {
            self.handle_to_the_end(request, id.as_ref()).await
        };
        if late.is_late() { too_slow(id) } else { response }
    }

    /// Answers a request that may change something on a task of its own: a client that hangs up must not leave the
    /// change without its consequences, such as the sessions that it ends.
    async fn handle_to_the_end(&self, request: Request<Body>, id: Option<&HeaderValue>) -> Response<Body> {
        let handler = Arc::clone(&self.handler);
        let handled = tokio::spawn(async move { handler.answer(request).await });
        handled.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request ended in a panic, which is a mistake in this program");
            let headers: HeaderMap = id.map(|id| (REQUEST_ID.clone(), id.clone())).into_iter().collect();
            refuse(
                &headers,
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "this is our mistake: please report it",
            )
        })
    }

    fn prepare(&self, request: Request<Incoming>, peer: IpAddr) -> (Request<Body>, Lateness) {
        let (mut parts, incoming) = request.into_parts();
        let forwarded = parts.headers.get_all(&FORWARDED_FOR).iter();
        let values: Vec<&str> = forwarded.map(|value| value.to_str().unwrap_or_default()).collect();
        let client = client_addr::resolve(peer, values, &self.trusted_proxies);
        parts.extensions.insert(ClientAddr(client));
        if parts.version == Version::HTTP_2 {
            add_host(&mut parts.headers, &parts.uri);
        }
        let (body, late) = body::receive(incoming);
        (Request::from_parts(parts, body), late)
    }
}

/// HTTP/2 names the host in the target (RFC 9113, section 8.3.1); core looks in one place only.
fn add_host(headers: &mut HeaderMap, uri: &Uri) {
    if let (false, Some(authority)) = (headers.contains_key(header::HOST), uri.authority())
        && let Ok(value) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(header::HOST, value);
    }
}

/// A refusal before the handler saw the request.
fn refuse(
    request: &HeaderMap,
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
) -> Response<Body> {
    request_id::refuse(&Error::new(status, code, detail), &request_id(request))
}

/// 408, after which nothing more is read from the connection (RFC 9110, section 15.5.9).
fn too_slow(id: Option<HeaderValue>) -> Response<Body> {
    let mut headers = HeaderMap::new();
    if let Some(id) = id {
        headers.insert(REQUEST_ID.clone(), id);
    }
    let mut response =
        refuse(&headers, StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body came too slowly");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn identify(response: &mut Response<Body>, request: &HeaderMap) {
    request_id::set(response.headers_mut(), &request_id(request));
}

/// The caller's id, else a new one.
pub(crate) fn request_id(request: &HeaderMap) -> String {
    request_id::of(request, &SystemClock, &SystemEntropy)
}

/// One line of the log and one observation for each request. The query stays out: it may hold what must not be kept.
fn note(method: &Method, uri: &Uri, response: &Response<Body>, took: Duration) {
    let status = response.status().as_u16();
    seconds(method, status).record(took.as_secs_f64());
    let path = uri.path();
    let duration_ms = took.as_micros() as f64 / 1000.0;
    let id = response.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    // Probes would drown everything else.
    if path.starts_with("/v1/health-check/") {
        tracing::debug!(%method, path, status, duration_ms, request_id = id, "answered");
    } else {
        tracing::info!(%method, path, status, duration_ms, request_id = id, "answered");
    }
}

/// The labels of methods: few, for clients may send any. The last stands for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// The labels of status codes below 300, below 400, below 500, and from there on.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// How long requests of a method took that were answered so. Each histogram is looked up once: to make its labels and
/// to find it by them takes longer than to observe.
fn seconds(method: &Method, status: u16) -> &'static Histogram {
    static SECONDS: [[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()] =
        [const { [const { OnceLock::new() }; CLASSES.len()] }; METHODS.len()];
    let others = METHODS.len() - 1;
    let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(others);
    let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
    SECONDS[method][class].get_or_init(|| {
        let labels = [("method", METHODS[method]), ("status", CLASSES[class])];
        metrics::histogram!("portico_http_request_seconds", &labels)
    })
}
