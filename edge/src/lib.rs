//! Portico as a Cloudflare Worker.
//!
//! - [`env`]: settings, from the Worker's variables and secrets
//! - [`aws`]: DynamoDB, S3 and SNS by signed HTTP requests · [`mail`]: e-mail by HTTP; pure code over the `HttpClient`
//!   port, tested natively · [`headers`]: their values between JavaScript and core
//! - `platform`: what is JavaScript's: requests and answers, fetch, time, randomness, WebCrypto, work after the answer
//!
//! An isolate answers many requests, and builds the app for the first of them.

pub mod aws;
pub mod env;
pub mod headers;
pub mod mail;
#[cfg(target_family = "wasm")]
mod platform;
