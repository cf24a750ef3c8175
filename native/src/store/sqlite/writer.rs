//! Writing, from the callers' side: they prepare their transactions themselves and queue them for the one
//! thread that writes ([`super::commits`]).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portico_core::ports::{
    clock::Clock,
    store::{Condition, Key, StoreError, StoreErrorKind, Version, Write},
};
use rusqlite::Connection;

use super::{
    commits::{PURGED, Thread},
    files::DirLock,
    rows::checksum,
    schema::Statements,
};
use crate::sync::{
    mpsc::{Sender, channel},
    oneshot,
    thread::{self, JoinHandle},
};

/// Transactions that may wait; further callers wait for a place.
const QUEUE: usize = 1024;

/// The handle on the writing thread. Dropping it finishes what is queued.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

/// What the writer did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterCounts {
    /// Callers' transactions that were answered, conflicts included.
    pub transactions: u64,
    /// Commits that changed something, each of which flushed the log once.
    pub commits: u64,
}

/// The same, counting.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) transactions: AtomicU64,
    pub(super) commits: AtomicU64,
}

/// A write with everything done that needs no database.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) statements: &'static Statements,
    pub(super) key: Key,
    pub(super) when: Condition,
    pub(super) change: Change,
}

/// What a prepared write does where its condition holds.
#[derive(Debug)]
pub(super) enum Change {
    Put { text: String, version: i64, checksum: i64 },
    Delete,
    None,
}

impl Prepared {
    /// Prepares a write; a put stores `version`.
    pub(super) fn new(write: &Write, version: Version) -> Result<Self, StoreError> {
        let change = match write {
            Write::Put { item, .. } => {
                let text = serde_json::to_string(item).map_err(|error| {
                    StoreError::new(StoreErrorKind::Unexpected, "an item is no JSON").caused_by(error)
                })?;
                let version = version.0.cast_signed();
                let checksum = checksum(write.key().table, version, text.as_bytes());
                Change::Put { text, version, checksum }
            }
            Write::Delete { .. } => Change::Delete,
            Write::Check { .. } => Change::None,
        };
        let key = write.key().clone();
        Ok(Self { statements: Statements::of(key.table)?, key, when: write.when(), change })
    }
}

impl Writer {
    /// Starts the thread, which owns the connection and the lock from now on.
    pub(super) fn start(
        connection: Connection,
        clock: Arc<dyn Clock>,
        lock: Option<DirLock>,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let thread = Thread::new(connection, clock, jobs, counts.clone());
        let thread = thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || {
            let closed = thread.run();
            // Whoever waits for the end may open the directory again.
            drop(lock);
            if let Some(closed) = closed {
                // Whoever asked may have gone.
                let _ = closed.send(());
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), counts })
    }

    /// Applies a caller's transaction. It is applied, or not, whether or not the caller still waits.
    pub(super) async fn transact(&self, writes: Vec<Prepared>) -> Result<(), StoreError> {
        self.ask(|answer| Job::Transact(Caller { writes, answer })).await?
    }

    /// Removes some expired items, and says how many; fewer than asked for means that none is left.
    pub(super) async fn purge(&self) -> Result<(usize, bool), StoreError> {
        let count = self.ask(Job::Purge).await??;
        Ok((count, count < PURGED))
    }

    /// Finishes what is queued, brings the log into the database, and ends the thread.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.ask(Job::Close).await
    }

    /// What was done so far.
    pub(super) fn counts(&self) -> WriterCounts {
        WriterCounts {
            transactions: self.counts.transactions.load(Ordering::Relaxed),
            commits: self.counts.commits.load(Ordering::Relaxed),
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        let closed = || StoreError::new(StoreErrorKind::Unavailable, "the store is closed");
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(job(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the writing thread of the database panicked");
        }
    }
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Transact(Caller),
    Purge(oneshot::Sender<Result<usize, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// A caller's transaction, and where its answer goes.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) writes: Vec<Prepared>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl Caller {
    pub(super) fn answer(self, result: Result<(), StoreError>) {
        // A caller who is gone does not matter.
        drop(self.answer.send(result));
    }
}
