//! Services that misbehave, over real sockets, while users are at work.
//!
//! A server keeps everything in emulators of DynamoDB, S3, SNS and a mail server. While connections do all that users
//! do, a fault sets in, stays for some seconds, and ends. What must hold:
//!
//! - Nothing is answered but what was asked for, or 503 with `Retry-After`: never a 500, never a hang.
//! - No answer takes longer than the store is tried for and three attempts more ([`phases::LONGEST`]).
//! - Within five seconds of the fault's end each connection has been served, and then nothing fails any more.
//! - What is sent to a service is never more than three times what was asked of it.
//! - Whatever was acknowledged is there in the end, and each message was sent or is still promised.
//!
//! `NETWORK_FAULT_SECONDS=300` makes each fault last that long.

mod costs;
mod faults;
mod ledger;
mod life;
mod phases;
mod stage;
