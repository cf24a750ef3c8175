//! The stores that the native host can keep items in.

#[cfg(feature = "aws")]
pub mod dynamo;
pub mod sqlite;
