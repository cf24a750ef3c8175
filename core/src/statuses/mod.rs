//! The statuses that the app offers its users to choose from: a short list that Admins keep.

pub mod handlers;
pub mod model;
pub mod repo;
