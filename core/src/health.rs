//! Whether the process is alive, and whether it can serve.

use std::sync::Arc;

use futures::future::{Either, select};

use crate::App;
use crate::error::Error;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::ports::store::Key;
use crate::schema::COUNTERS;

/// How soon the store must answer, in milliseconds.
const READY_WITHIN_MS: u64 = 1000;

/// A key that nothing is ever stored under.
const NOTHING: &str = "health-check";

/// `GET` and `POST /v1/health-check/{action}`
///
/// `ping` touches no dependency; `ready` waits for the store, for a second at most.
///
/// # Errors
/// 400 `unknown_action`, 503 `storage_unavailable` from `ready`.
pub async fn check(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    match request.param("action") {
        Some("ping") => reply::message("pong"),
        Some("ready") => {
            let key = Key::new(&COUNTERS, NOTHING);
            match select(app.ports.store.get(&key), app.ports.clock.sleep(READY_WITHIN_MS)).await {
                Either::Left((answer, _)) => answer?,
                Either::Right(_) => return Err(too_slow()),
            };
            reply::message("ok")
        }
        _ => Err(Error::bad_request("unknown_action", "the health check knows `ping` and `ready`")),
    }
}

fn too_slow() -> Error {
    Error::unavailable("storage_unavailable", "the storage does not answer in time: try again shortly", 2)
}
