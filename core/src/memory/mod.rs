//! Implementations of the ports without I/O: the models that real ones are compared with. (There is none of the signer:
//! RSA signatures are the platform's.)

pub mod background;
pub mod blobs;
pub mod clock;
pub mod entropy;
pub mod hasher;
pub mod http_client;
pub mod limiter;
pub mod mailer;
pub mod restless_clock;
pub mod store;
