//! AWS as the fuzzer plays it: an account of which every request gets the next of some answers.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use portico_core::config::aws::{AwsCredentials, AwsSettings};
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::http_client::HttpError;
use portico_core::secret::Secret;
use portico_edge::aws::account::Account;

use crate::script::{cut, split};

/// The most answers of one service.
const MAX_REPLIES: usize = 16;

/// One answer of a service; `None` is a connection that is cut.
pub type Reply = Option<Response<Bytes>>;

/// Reads answers as they would be seen on the wire: a status, headers, an empty line, a body; `%%` on a line of its own
/// between two. What is none is a connection that is cut.
#[must_use]
pub fn replies(text: &[u8]) -> Vec<Reply> {
    split(text, b"\n%%\n").into_iter().take(MAX_REPLIES).map(reply).collect()
}

fn reply(text: &[u8]) -> Reply {
    let (head, body) = cut(text, b"\n\n").unwrap_or((text, &[]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut response = Response::builder().status(lines.next()?);
    for (name, value) in lines.filter_map(|line| cut(line, b":")) {
        response = response.header(name, value.trim_ascii());
    }
    response.body(Bytes::copy_from_slice(body)).ok()
}

/// An account of whose requests each gets the next reply, and those after the last get none.
#[must_use]
pub fn account(replies: Vec<Reply>) -> Account {
    let replies = Mutex::new(replies.into_iter());
    let http = MemoryHttpClient::new(move |_| {
        let next = replies.lock().unwrap_or_else(PoisonError::into_inner).next();
        next.flatten().ok_or_else(|| HttpError("the connection was cut".to_owned()))
    });
    let settings = AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint_url: None,
        credentials: None,
        sns_region: "eu-central-1".to_owned(),
        sns_sender_id: None,
    };
    let key = AwsCredentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("canary"),
        session_token: None,
    };
    let entropy = Arc::new(SeededEntropy::new(1));
    Account { settings, key, http: Arc::new(http), clock: Arc::new(RestlessClock::default()), entropy }
}
