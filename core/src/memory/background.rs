//! Work after the answer, done when told to.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;

use crate::ports::background::Background;

/// Keeps work until [`QueuedBackground::run`].
#[derive(Default)]
pub struct QueuedBackground {
    queue: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl QueuedBackground {
    /// Does everything that is queued, and what that queues.
    pub async fn run(&self) {
        loop {
            let queued = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
            if queued.is_empty() {
                return;
            }
            futures::future::join_all(queued).await;
        }
    }

    /// Forgets everything that is queued, as a crash would.
    pub fn forget(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for QueuedBackground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueuedBackground")
    }
}

impl Background for QueuedBackground {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }
}
