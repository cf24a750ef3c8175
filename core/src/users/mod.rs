//! Accounts: registration, profile, password, deletion, restoring and the end, export.

pub mod changes;
pub mod export;
pub mod handlers;
pub mod model;
pub mod password;
pub mod purge;
pub mod registration;
pub mod repo;
