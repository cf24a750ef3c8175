//! Every decision about identity as a structured event: what happened to whom, from where. No secret is ever in one.

use std::fmt;
use std::net::IpAddr;

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

impl Event<'_> {
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
