//! What threads share and wait for one another by.
//!
//! It is named here so that `tests/interleavings` can put its own in the place of it, whose scheduler tries many orders.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError, mpsc as blocking_mpsc};
pub(crate) use std::thread;

pub(crate) use tokio::sync::{mpsc, oneshot};
