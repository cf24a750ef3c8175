//! What every implementation of a port must do, as tests that each implementation runs on itself.
//!
//! A kit is a list of named properties (`pub async fn`) and a macro that makes one test of each. A property
//! panics when it does not hold; a backend that cannot be reached fails, it is never skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a property that does not hold ends its test"
)]

pub mod blobs;
pub mod store;
