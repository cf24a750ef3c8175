//! The releases of the app, and whether an installed one is still up to date.

pub mod cache;
pub mod handlers;
pub mod model;
pub mod repo;
pub mod version;
