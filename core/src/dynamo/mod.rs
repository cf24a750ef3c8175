//! The store in DynamoDB, all but the transport: what is asked, what the answers mean, when to ask again.
//!
//! A host brings a [`client::DynamoClient`] that sends one request and reads one answer: by Amazon's SDK, or
//! as signed JSON ([`json`]). Everything else is here, once, and does no I/O of its own.
//!
//! - [`request`]: the operations, in the shape of DynamoDB's API · [`client`]: the port, answers, failures
//! - [`attribute`], [`item`]: JSON items as typed attributes and back, without loss · [`size`]: their measure
//! - [`expression`]: conditions as expressions · [`query`]: pages of indexes
//! - [`retry`]: what is tried again, and for how long · [`failure`]: what a failure means
//! - [`migrate`]: tables of an older system brought up to date
//! - [`store`]: the store itself · [`tables`], [`mismatch`]: what the schema needs, and where it is not so

pub mod attribute;
pub mod client;
pub mod expression;
pub mod failure;
pub mod item;
pub mod json;
pub mod migrate;
pub mod mismatch;
pub mod names;
pub mod query;
pub mod request;
pub mod retry;
pub mod size;
pub mod store;
pub mod tables;

#[cfg(test)]
mod lost_answer_tests;
#[cfg(test)]
mod script;
#[cfg(test)]
mod store_tests;
