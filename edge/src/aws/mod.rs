//! AWS by signed HTTP requests: pure code over the [`HttpClient`](portico_core::ports::http_client::HttpClient) port.
//!
//! [`sign`] makes a request one of the [`account`]'s; the others say what is asked of each service, and what its answers
//! mean. What to do about a failure is core's.

pub mod account;
pub mod dynamo;
pub mod s3;
pub mod sign;
pub mod sns;
mod xml;
