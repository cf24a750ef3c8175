//! The contract as a whole: the route table and its description, and bad requests to every operation.

mod bad_requests;
mod document;
mod fuzz;
mod requests;
mod schemathesis;
