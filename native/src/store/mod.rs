//! The stores that the native host can keep items in.

pub mod sqlite;
