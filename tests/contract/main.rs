//! The contract as a whole: the route table and its description, bad requests to every operation, who may call what.

mod access;
mod bad_requests;
mod document;
mod fuzz;
mod requests;
mod schemathesis;
