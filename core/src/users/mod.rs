//! Accounts: registration, profile, password, deletion and restoring, export.

pub mod changes;
pub mod export;
pub mod handlers;
pub mod model;
pub mod password;
pub mod registration;
pub mod repo;
