//! Portico as one self-hosted program: the ports of [`portico_core`] on tokio, over SQLite and files or over
//! DynamoDB, an HTTP server, and a command line.
//!
//! # Where things are
//! - [`cli`]: what the program can be asked to do · [`env`]: its settings · [`host`]: the app put together
//! - [`backup`]: copies of database and files, and putting them back
//! - `aws`: the connection to AWS, if it is built in
//! - [`relay`]: mail taken by HTTP and handed on by SMTP, for hosts that have no SMTP
//! - [`server`]: HTTP · [`dev`]: the development outbox · [`telemetry`]: logs and metrics
//! - `sync`: what threads share; whatever waits for another thread takes it from there, for `tests/interleavings`
//! - the ports: [`store`], [`blobs`], [`mail`], [`sms`], [`http_client`], [`limiter`], [`signer`] (with [`keys`]), [`hasher`],
//!   [`clock`], [`entropy`], [`background`]
//!
//! Nothing here decides what a request may do or what it is answered: that is core's alone.

#[cfg(feature = "aws")]
pub mod aws;
pub mod background;
pub mod backup;
pub mod blobs;
pub mod cli;
pub mod clock;
pub mod dev;
pub mod entropy;
pub mod env;
mod files;
pub mod hasher;
pub mod host;
pub mod http_client;
pub mod keys;
pub mod limiter;
pub mod mail;
mod pool;
mod priority;
pub mod relay;
pub mod server;
pub mod signer;
pub mod sms;
pub mod store;
mod sync;
pub mod telemetry;
