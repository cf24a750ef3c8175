//! The hosts that a case runs on.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;

use crate::client::{Answer, Client};
use crate::edge::EdgeHost;
use crate::lab::Lab;
use crate::messages::Message;
use crate::native::NativeHost;

/// Something that serves the API.
#[async_trait]
pub trait Host: fmt::Debug + Send + Sync {
    /// Answers a request.
    async fn send(&self, request: Request<Bytes>) -> Answer;
    /// The messages sent so far, oldest first.
    async fn messages(&self) -> Vec<Message>;
    /// Makes an Admin in the way that the host's operator would.
    async fn create_admin(&self, username: &str, email: &str, password: &str);
}

/// The hosts of [`on_every_host`].
pub const EVERY_HOST: [&str; 5] =
    ["in process, memory", "in process, SQLite", "native, embedded", "native, AWS", "edge"];

/// Cases that the edge's runtime decides before the Worker sees the request, and how.
pub const DECIDED_BY_THE_EDGE: [(&str, &str); 2] = [
    (
        "a_host_that_is_none_is_refused",
        "the request's URL is made of its Host, which becomes part of the path",
    ),
    ("an_empty_content_type_is_not_jsons", "a header without a value is dropped"),
];

/// Runs a case on every host and holds the conversations against one another.
///
/// # Panics
/// When the case fails somewhere, or two hosts answer differently.
pub async fn on_every_host<F: Future<Output = ()>>(case_name: &str, case: impl Fn(Client) -> F) {
    let mut first: Option<Vec<String>> = None;
    let is_decided = DECIDED_BY_THE_EDGE.iter().any(|(name, _)| *name == case_name);
    for name in EVERY_HOST.into_iter().filter(|name| !(is_decided && *name == "edge")) {
        let client = Client::new(start(name).await);
        case(client.clone()).await;
        let said = client.transcript().normalized();
        match &first {
            None => first = Some(said),
            Some(first) => {
                for (there, here) in first.iter().zip(&said) {
                    assert_eq!(there, here, "{name} answers otherwise than {}", EVERY_HOST[0]);
                }
                assert_eq!(first.len(), said.len(), "{name} was asked otherwise than {}", EVERY_HOST[0]);
            }
        }
    }
}

async fn start(name: &str) -> Arc<dyn Host> {
    match name {
        "in process, memory" => Arc::new(Lab::new()),
        "in process, SQLite" => Arc::new(Lab::on_sqlite()),
        "native, embedded" => Arc::new(NativeHost::start().await),
        "native, AWS" => Arc::new(NativeHost::start_on_aws().await),
        "edge" => Arc::new(EdgeHost::start().await),
        other => panic!("there is no host {other:?}"),
    }
}

/// Makes a test of a case, on every host.
#[macro_export]
macro_rules! on_every_host {
    ($(#[$attribute:meta])* async fn $name:ident($client:ident: Client) $body:block) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            async fn case($client: $crate::client::Client) $body
            $crate::hosts::on_every_host(stringify!($name), case).await;
        }
    };
}
