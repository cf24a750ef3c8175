//! Password hashing on its own threads, so that it never holds up other requests.
//!
//! As many threads as cores take work from one bounded queue. They yield to the threads that answer requests,
//! and skip work whose caller has gone. While there is more to do they keep the memory that hashing takes.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, io};

use async_trait::async_trait;
use portico_core::auth::password::{HashMemory, HashOutcome, HashWork};
use portico_core::ports::hasher::{Busy, Hasher};

use crate::priority;
use crate::sync::blocking_mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use crate::sync::{Mutex, PoisonError, oneshot, thread};

/// How much work may wait for each thread: about two seconds' worth at the default cost.
const QUEUED_PER_THREAD: usize = 64;

/// When to come back once the queue is full: by then it has been worked off.
const RETRY_AFTER_SECONDS: u64 = 2;

struct Job {
    work: HashWork,
    answer: oneshot::Sender<HashOutcome>,
}

/// A bounded pool of hashing threads. They end when it is dropped.
pub struct HashPool {
    queue: SyncSender<Job>,
    queued: Arc<AtomicUsize>,
}

impl HashPool {
    /// Starts one thread for each core.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_bounds(threads, threads * QUEUED_PER_THREAD)
    }

    /// Starts so many threads, for which so much work may wait in all.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn with_bounds(threads: usize, queued: usize) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(queued);
        let (jobs, queued) = (Arc::new(Mutex::new(jobs)), Arc::new(AtomicUsize::new(0)));
        for index in 0..threads {
            let (jobs, queued) = (Arc::clone(&jobs), Arc::clone(&queued));
            thread::Builder::new().name(format!("hash-{index}")).spawn(move || run(&jobs, &queued))?;
        }
        Ok(Self { queue, queued })
    }
}

fn run(jobs: &Mutex<Receiver<Job>>, queued: &AtomicUsize) {
    priority::lower();
    let mut memory = HashMemory::default();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { work, answer }) = next else { return };
        queued.fetch_sub(1, Ordering::Relaxed);
        if !answer.is_closed() {
            // The caller may leave while its work is done.
            let _gone = answer.send(work.run_in(&mut memory));
            metrics::counter!("portico_hashed_total").increment(1);
        }
        if queued.load(Ordering::Relaxed) == 0 {
            memory = HashMemory::default();
        }
    }
}

#[async_trait]
impl Hasher for HashPool {
    async fn run(&self, work: HashWork) -> Result<HashOutcome, Busy> {
        let busy = || Busy { retry_after_seconds: RETRY_AFTER_SECONDS };
        let (answer, outcome) = oneshot::channel();
        // Counted first: a thread may take it before this one goes on.
        self.queued.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(Job { work, answer }) {
            Ok(()) => outcome.await.map_err(|_| busy()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.queued.fetch_sub(1, Ordering::Relaxed);
                metrics::counter!("portico_hashing_refused_total").increment(1);
                Err(busy())
            }
        }
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use portico_core::auth::password::{HashParams, Password};
    use portico_core::secret::Secret;

    use super::*;

    fn work(memory_kib: u32) -> HashWork {
        let password = Password::new(Secret::new("correct horse"));
        HashWork::Hash { password, salt: [1; 16], params: HashParams { memory_kib, passes: 2, lanes: 1 } }
    }

    #[tokio::test]
    async fn past_its_bound_it_is_busy_and_recovers() {
        let pool = Arc::new(HashPool::with_bounds(1, 2).unwrap());
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.run(work(19_456)).await.is_ok() })
            })
            .collect();
        let mut served = 0;
        for caller in callers {
            served += usize::from(caller.await.unwrap());
        }
        assert!((2..8).contains(&served), "{served}");
        assert!(matches!(pool.run(work(64)).await, Ok(HashOutcome::Hashed(_))));
    }

    #[tokio::test]
    async fn work_of_callers_that_left_is_skipped() {
        let pool = HashPool::with_bounds(1, 100).unwrap();
        for _ in 0..50 {
            let left = tokio::time::timeout(Duration::ZERO, pool.run(work(65_536))).await;
            assert!(left.is_err());
        }
        let start = Instant::now();
        pool.run(work(64)).await.unwrap();
        // Fifty hashes of 64 MiB would take several seconds; at most one had begun.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
