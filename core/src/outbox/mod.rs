//! What a transaction promised: messages to send and sessions to end, kept in the `outbox` table until done.
//!
//! An entry is written in the transaction that causes it, tried right after the answer, and tried again with growing
//! pauses by whichever instance finds it due. A code is never in an entry: the entry holds random bytes from which
//! only the server's key makes the code.

pub mod delivery;
pub mod messages;
pub mod model;
mod tasks;
