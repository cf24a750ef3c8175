//! Where the native host can keep files' bytes.

pub mod dir;
