//! Devices, to which sessions are bound.

pub mod handlers;
pub mod model;
pub mod repo;
