//! Senders of messages, talked to over real sockets.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod relay;
mod smtp;
mod sns;
