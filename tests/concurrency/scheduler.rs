//! Who goes on next: every call of a port is a point at which another caller may go on instead.
//!
//! On one thread, callers are polled in an order that the seed decides, so that an interleaving repeats with its seed.
//! On several threads the seed only shakes them; what else happens is the machine's.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use futures::future::{BoxFuture, poll_fn};
use portico_core::http::body::Body;
use portico_core::ports::blobs::{Blob, BlobError, BlobInfo, BlobKey, Blobs, ByteRange, PutTerms};
use portico_core::ports::store::{Key, Page, Query, Raw, Store, StoreError, Versioned, Write};

use portico_tests::chance::Chance;

/// Decides who goes on.
#[derive(Debug)]
pub(crate) struct Scheduler {
    chance: Mutex<Chance>,
    racing: AtomicBool,
    points: AtomicU64,
    /// The keys that were put, one for each time.
    puts: Mutex<Vec<Key>>,
}

/// How urgent each caller is. With few changes among them, one caller may stand still while others finish, which equal
/// chances hardly ever bring about.
struct Urgency {
    of: Vec<usize>,
    /// Urgency counts for nothing.
    is_even: bool,
}

impl Scheduler {
    pub(crate) fn new(chance: Chance) -> Self {
        let (racing, points) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { chance: Mutex::new(chance), racing, points, puts: Mutex::default() }
    }

    /// How many points were passed at which another caller could have gone on.
    pub(crate) fn points(&self) -> u64 {
        self.points.load(Ordering::Relaxed)
    }

    /// How often a key was put so far.
    pub(crate) fn puts(&self, key: &Key) -> usize {
        let puts = self.puts.lock().unwrap_or_else(PoisonError::into_inner);
        puts.iter().filter(|put| *put == key).count()
    }

    fn note(&self, writes: &[Write]) {
        let puts = writes.iter().filter(|write| matches!(write, Write::Put { .. }));
        let keys = puts.map(|write| write.key().clone());
        self.puts.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
    }

    /// A point at which another caller may go on; there is none outside of a race.
    pub(crate) async fn turn(&self) {
        if !self.racing.load(Ordering::SeqCst) {
            return;
        }
        self.points.fetch_add(1, Ordering::Relaxed);
        let mut has_waited = false;
        poll_fn(|context| {
            // What a caller awaits together must not always go on together.
            if std::mem::replace(&mut has_waited, true) && self.with(|chance| chance.one_in(2)) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Lets callers run to their ends on this thread.
    pub(crate) fn race<T>(&self, callers: Vec<BoxFuture<'_, T>>) -> Vec<T> {
        let mut running: Vec<(usize, BoxFuture<'_, T>)> = callers.into_iter().enumerate().collect();
        let mut ended: Vec<(usize, T)> = Vec::new();
        let mut urgency = self.urgency(running.len());
        self.racing.store(true, Ordering::SeqCst);
        while !running.is_empty() {
            let next = self.next(&mut urgency, &running);
            let caller = Pin::new(&mut running[next].1);
            if let Poll::Ready(outcome) = caller.poll(&mut Context::from_waker(Waker::noop())) {
                let (index, _) = running.swap_remove(next);
                ended.push((index, outcome));
            }
        }
        self.racing.store(false, Ordering::SeqCst);
        ended.sort_by_key(|(index, _)| *index);
        ended.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Lets callers run to their ends on the threads of the runtime.
    pub(crate) async fn race_on_threads<T: Send + 'static>(
        &self,
        callers: Vec<BoxFuture<'static, T>>,
    ) -> Vec<T> {
        self.racing.store(true, Ordering::SeqCst);
        let tasks: Vec<_> = callers.into_iter().map(tokio::spawn).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        self.racing.store(false, Ordering::SeqCst);
        outcomes
    }

    fn urgency(&self, callers: usize) -> Urgency {
        self.with(|chance| Urgency {
            of: (0..callers).map(|_| chance.below(1000)).collect(),
            is_even: chance.one_in(2),
        })
    }

    fn next<T>(&self, urgency: &mut Urgency, running: &[(usize, T)]) -> usize {
        self.with(|chance| {
            if urgency.is_even || chance.one_in(16) {
                return chance.below(running.len());
            }
            if chance.one_in(24) {
                urgency.of[running[chance.below(running.len())].0] = chance.below(1000);
            }
            let most_urgent = (0..running.len()).max_by_key(|at| urgency.of[running[*at].0]);
            most_urgent.expect("somebody runs")
        })
    }

    fn with<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A store whose every call is such a point.
#[derive(Debug)]
pub(crate) struct ScheduledStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) scheduler: Arc<Scheduler>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for ScheduledStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.scheduler.turn().await;
        self.inner.get(key).await
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        self.scheduler.turn().await;
        self.inner.get_raw(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.scheduler.turn().await;
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.scheduler.turn().await;
        let outcome = self.inner.transact(writes).await.inspect(|()| self.scheduler.note(writes));
        // The answer takes its time too.
        self.scheduler.turn().await;
        outcome
    }
}

/// Blobs whose every call is such a point.
#[derive(Debug)]
pub(crate) struct ScheduledBlobs {
    pub(crate) inner: Arc<dyn Blobs>,
    pub(crate) scheduler: Arc<Scheduler>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Blobs for ScheduledBlobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        self.scheduler.turn().await;
        self.inner.put(key, terms, body).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        self.scheduler.turn().await;
        self.inner.get(key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        self.scheduler.turn().await;
        self.inner.head(key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.scheduler.turn().await;
        self.inner.delete(key).await
    }
}

/// A store that answers before it returns, although a thread of its own does the work: what it does is then one step.
#[derive(Debug)]
pub(crate) struct Inline(pub(crate) Arc<dyn Store>);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Inline {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        futures::executor::block_on(self.0.get(key))
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        futures::executor::block_on(self.0.get_raw(key))
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        futures::executor::block_on(self.0.query(query))
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        futures::executor::block_on(self.0.transact(writes))
    }
}
