//! Every decision about identity as a structured event: what happened to whom, from where. No secret is ever in one.

use std::fmt;
use std::net::IpAddr;

use crate::http::client::Client;
use crate::sessions::model::Session;

/// An event of the audit log, under the log target `portico::audit`.
#[derive(Debug, Default)]
pub struct Event<'a> {
    /// The user concerned, if known.
    pub user_id: Option<&'a str>,
    /// Their session.
    pub session_id: Option<&'a str>,
    /// Their device.
    pub device_id: Option<&'a str>,
    /// Where the request came from.
    pub addr: Option<IpAddr>,
}

/// How a decision went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Granted, or done.
    Success,
    /// Refused.
    Failure,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::Failure => "failure",
        })
    }
}

impl<'a> Event<'a> {
    /// An event of a session, which a client's request is about.
    #[must_use]
    pub fn of(session: &'a Session, client: &Client) -> Self {
        Self {
            user_id: Some(&session.user_id),
            session_id: Some(&session.session_id),
            device_id: Some(&session.device_id),
            addr: Some(client.addr),
        }
    }

    /// An event of an account that nobody is signed in to.
    #[must_use]
    pub fn of_account(user_id: Option<&'a str>, client: &Client) -> Self {
        Self { user_id, addr: Some(client.addr), ..Self::default() }
    }

    /// Writes the event.
    pub fn record(&self, event: &'static str, outcome: Outcome) {
        tracing::info!(
            target: "portico::audit",
            event,
            %outcome,
            user_id = self.user_id,
            session_id = self.session_id,
            device_id = self.device_id,
            addr = self.addr.map(tracing::field::display),
            "an identity decision"
        );
    }
}
