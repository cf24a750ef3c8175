//! Notifications: what the app shows its users, and whether they have read it.

pub mod creation;
pub mod handlers;
pub mod model;
pub mod repo;
