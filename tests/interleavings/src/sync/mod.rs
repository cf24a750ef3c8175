//! What native's threads share, as the scheduler sees it: native's own `sync` names the same things.
//!
//! The blocking ones are shuttle's. Tokio's two channels are made here of shuttle's locks, to the letter of tokio's
//! documentation as far as native uses them: shuttle's edition of tokio brings a benchmarking framework along.

pub(crate) mod mpsc;
pub(crate) mod oneshot;

pub(crate) use shuttle::sync::{Mutex, MutexGuard, mpsc as blocking_mpsc};
pub(crate) use std::sync::{PoisonError, TryLockError};

/// Threads.
pub(crate) mod thread {
    pub(crate) use shuttle::thread::{Builder, JoinHandle};
    pub(crate) use std::thread::available_parallelism;
}
