//! Whether the process is alive, and whether it can serve.

use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::ports::store::Key;
use crate::schema::COUNTERS;

/// A key that nothing is ever stored under.
const NOTHING: &str = "health-check";

/// `GET` and `POST /v1/health-check/{action}`
///
/// `ping` touches no dependency; `ready` waits for the store, whose time limit is the host's.
///
/// # Errors
/// 400 `unknown_action`, 503 `storage_unavailable` from `ready`.
pub async fn check(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    match request.param("action") {
        Some("ping") => reply::message("pong"),
        Some("ready") => {
            app.ports.store.get(&Key::new(&COUNTERS, NOTHING)).await?;
            reply::message("ok")
        }
        _ => Err(Error::bad_request("unknown_action", "the health check knows `ping` and `ready`")),
    }
}
