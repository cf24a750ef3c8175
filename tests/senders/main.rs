//! Senders of messages, talked to over real sockets: alone, and as the server uses them.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod mail_delivery;
mod relay;
mod sms_delivery;
mod smtp;
mod sns;
mod support;
