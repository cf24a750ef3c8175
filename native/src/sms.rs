//! SMS: the ways a message leaves.

pub mod outbox;
#[cfg(feature = "aws")]
pub mod sns;
