//! Work that goes on after the answer, tracked so that a graceful stop waits for it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use portico_core::ports::background::Background;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many pieces of work may run at once; what exceeds it is left to the outbox.
const MAX_TASKS: usize = 1024;

/// Runs work as tasks of the runtime it was made in.
#[derive(Clone, Debug)]
pub struct TokioBackground {
    runtime: Handle,
    tasks: TaskTracker,
    slots: Arc<Semaphore>,
}

impl TokioBackground {
    /// Runs work on the given runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tasks: TaskTracker::new(), slots: Arc::new(Semaphore::new(MAX_TASKS)) }
    }

    /// Waits until everything is done, or the time is over; tells whether it is done.
    pub async fn finish(&self, within: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}

impl Background for TokioBackground {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            metrics::counter!("portico_background_refused_total").increment(1);
            tracing::warn!(limit = MAX_TASKS, "too much background work: messages wait for the next round");
            return;
        };
        let work = async move {
            work.await;
            drop(slot);
        };
        self.tasks.spawn_on(work, &self.runtime);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_work_but_not_for_ever() {
        let background = TokioBackground::new(Handle::current());
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        background.spawn(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        assert!(background.finish(Duration::from_secs(5)).await);
        assert_eq!(done.load(Ordering::SeqCst), 1);
        background.spawn(Box::pin(std::future::pending()));
        assert!(!background.finish(Duration::from_millis(10)).await);
    }
}
