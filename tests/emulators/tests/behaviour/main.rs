//! The emulators, tried over their sockets: each test runs the program on ports of its own.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

mod dynamodb;
mod faults;
mod process;
mod program;
mod s3;
mod signatures;
mod signer;
mod smtp;
mod sns;
mod streaming;
