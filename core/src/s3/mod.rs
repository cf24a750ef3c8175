//! Blobs in a bucket of S3, all but the transport: what is asked, and what the answers mean.
//!
//! A host brings a [`client::S3Client`] that sends a request and reads its answer: by Amazon's SDK, or as signed HTTP.
//! Everything else is here, once, and does no I/O of its own.
//!
//! - [`request`]: the operations · [`client`]: the port and its answers · [`blobs`]: the blobs themselves ·
//!   [`failure`]: what an operator can do
//! - `bucket`: the ports that they work with · `get`: objects on their way out · `put`, `incoming`, `parts`: on their
//!   way in · `target`: what became of a put · `presign`: URLs for clients

pub mod blobs;
mod bucket;
pub mod client;
pub mod failure;
mod get;
mod incoming;
mod parts;
mod presign;
mod put;
pub mod request;
mod target;

#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod put_tests;
#[cfg(test)]
mod script;
