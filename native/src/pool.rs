//! A few things of a kind, each used by one thread at a time.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// What threads take turns with.
#[derive(Debug)]
pub(crate) struct Pool<T>(Box<[Mutex<Option<T>>]>);

impl<T> Pool<T> {
    /// A pool of these things, of which there must be one at least.
    pub(crate) fn new(things: impl IntoIterator<Item = T>) -> Self {
        Self(things.into_iter().map(|thing| Mutex::new(Some(thing))).collect())
    }

    /// Drops every thing, once it is not in use.
    pub(crate) fn close(&self) {
        for slot in &self.0 {
            drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Uses one of the things that no other thread uses meanwhile, waiting for it if need be; `None` once the pool is
    /// closed.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        self.slot().as_ref().map(work)
    }

    /// The slot that this thread used before, if it is free; else the next free one; else that one, later.
    fn slot(&self) -> MutexGuard<'_, Option<T>> {
        let first = preferred_slot();
        for offset in 0..self.0.len() {
            match self.0[(first + offset) % self.0.len()].try_lock() {
                Ok(slot) => return slot,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.0[first % self.0.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number of the present thread's, so that threads keep to slots of their own and rarely meet.
fn preferred_slot() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed));
    }
    SLOT.get()
}
