//! SMS: the ways a message leaves.

pub mod outbox;
