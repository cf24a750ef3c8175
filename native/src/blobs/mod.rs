//! Where the native host can keep files' bytes.

pub mod dir;
#[cfg(feature = "aws")]
pub mod s3;
