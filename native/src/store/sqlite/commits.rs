//! Writing, from the thread's side: one connection, one flush for whatever is waiting (group commit).
//!
//! The thread opens a database transaction, applies callers' transactions in turn until none is waiting,
//! commits, and only then answers: every answer, conflicts too, rests on what is on the disk. Conditions are
//! judged before a caller's first write, so that a conflict leaves nothing to undo.

use std::sync::{Arc, atomic::Ordering};

use portico_core::ports::{
    clock::Clock,
    store::{Condition, StoreError, Version},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    error::{kind, store_error},
    schema::STATEMENTS,
    writer::{Caller, Change, Counts, Job, Prepared},
};
use crate::sync::{mpsc::Receiver, oneshot};

/// Transactions of one commit at most, so that the first of them does not wait for ever.
const GROUP: usize = 512;

/// Expired items that one commit removes at most, so that callers do not wait for a purge.
pub(super) const PURGED: usize = 500;

/// What a transaction came to: nothing wrong, or the index of the write whose condition does not hold.
type Outcome = Result<(), usize>;

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Thread {
    connection: Connection,
    clock: Arc<dyn Clock>,
    jobs: Receiver<Job>,
    counts: Arc<Counts>,
    /// What SQLite had changed when the present transaction began.
    changes: u64,
}

impl Thread {
    /// A thread that has yet to run.
    pub(super) fn new(
        connection: Connection,
        clock: Arc<dyn Clock>,
        jobs: Receiver<Job>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { connection, clock, jobs, counts, changes: 0 }
    }

    /// Works until told to close, or until nobody can ask for anything any more.
    pub(super) fn run(mut self) -> Option<oneshot::Sender<()>> {
        let mut next = None;
        let closed = loop {
            match next.take().or_else(|| self.jobs.blocking_recv()) {
                Some(Job::Transact(caller)) => next = self.group(caller),
                Some(Job::Purge(answer)) => drop(answer.send(self.purge().map_err(store_error))),
                Some(Job::Close(closed)) => break Some(closed),
                None => break None,
            }
        };
        // Closing would do the same, but could not say that it failed.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(checkpoint, (), |_| Ok(())) {
            tracing::warn!(%error, "the log was not brought into the database; the next start does it");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close");
        }
        closed
    }

    /// Applies a caller's transaction and those that wait behind it, in one commit. Returns the job that
    /// ended the group by being of another kind.
    fn group(&mut self, first: Caller) -> Option<Job> {
        let mut group = Vec::new();
        if let Err(error) = self.begin() {
            return self.refuse_waiting(first, &error);
        }
        let mut next = Some(Job::Transact(first));
        while group.len() < GROUP {
            let caller = match next.take().or_else(|| self.jobs.try_recv().ok()) {
                Some(Job::Transact(caller)) => caller,
                other => {
                    next = other;
                    break;
                }
            };
            let outcome = self.apply(&caller.writes);
            let failed = outcome.is_err();
            group.push((caller, outcome));
            if failed {
                // Its writes so far cannot be undone alone; this is rare enough to begin anew.
                self.roll_back();
                self.one_by_one(group.into_iter().map(|(caller, _)| caller));
                return None;
            }
        }
        let committed = self.commit();
        for (caller, outcome) in group {
            caller.answer(self.result(outcome, &committed));
        }
        next
    }

    /// Applies each caller's transaction in a commit of its own, so that an error is theirs alone.
    fn one_by_one(&mut self, callers: impl Iterator<Item = Caller>) {
        for caller in callers {
            let outcome = self.begin().and_then(|()| self.apply(&caller.writes));
            let committed = match outcome {
                Ok(_) => self.commit(),
                Err(_) => {
                    self.roll_back();
                    Ok(())
                }
            };
            caller.answer(self.result(outcome, &committed));
        }
    }

    fn refuse_waiting(&mut self, first: Caller, error: &rusqlite::Error) -> Option<Job> {
        let mut next = Some(Job::Transact(first));
        while let Some(Job::Transact(caller)) = next {
            caller.answer(Err(StoreError::new(kind(error), format!("no transaction begins: {error}"))));
            next = self.jobs.try_recv().ok();
        }
        next
    }

    fn result(
        &self,
        outcome: rusqlite::Result<Outcome>,
        committed: &rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        match (outcome, committed) {
            (Err(error), _) => Err(store_error(error)),
            (_, Err(error)) => Err(StoreError::new(kind(error), format!("the commit failed: {error}"))),
            (Ok(Err(write)), _) => Err(StoreError::conflict(write)),
            (Ok(Ok(())), _) => Ok(()),
        }
    }

    fn apply(&self, writes: &[Prepared]) -> rusqlite::Result<Outcome> {
        let now = self.clock.now().as_seconds();
        for (index, write) in writes.iter().enumerate() {
            if write.when != Condition::Always && !write.when.holds(self.version(write, now)?) {
                return Ok(Err(index));
            }
        }
        for Prepared { statements, key, change, .. } in writes {
            match change {
                Change::Put { text, version } => self
                    .connection
                    .prepare_cached(&statements.put)?
                    .execute((&key.hash, &key.range, text, version))?,
                Change::Delete => {
                    self.connection.prepare_cached(&statements.delete)?.execute((&key.hash, &key.range))?
                }
                Change::None => 0,
            };
        }
        Ok(Ok(()))
    }

    fn version(&self, write: &Prepared, now: i64) -> rusqlite::Result<Option<Version>> {
        let mut statement = self.connection.prepare_cached(&write.statements.version)?;
        let found = statement.query_row((&write.key.hash, &write.key.range, now), |row| {
            let (version, expired): (i64, bool) = (row.get(0)?, row.get(1)?);
            Ok((!expired).then_some(Version(version.cast_unsigned())))
        });
        Ok(found.optional()?.flatten())
    }

    fn purge(&mut self) -> rusqlite::Result<usize> {
        let now = self.clock.now().as_seconds();
        self.begin()?;
        let mut purged = 0;
        for sql in STATEMENTS.iter().filter_map(|statements| statements.purge.as_deref()) {
            let left = i64::try_from(PURGED - purged).unwrap_or_default();
            let removed =
                self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute((now, left)));
            match removed {
                Ok(count) => purged += count,
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        self.commit().map(|()| purged)
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        self.changes = self.connection.total_changes();
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(()).map(drop)
    }

    fn commit(&self) -> rusqlite::Result<()> {
        let committed = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
        if let Err(error) = committed {
            tracing::error!(%error, "a commit failed");
            self.roll_back();
            return Err(error);
        }
        if self.connection.total_changes() > self.changes {
            self.counts.commits.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn roll_back(&self) {
        // SQLite itself has rolled back after some errors.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures::future::join_all;
    use portico_core::{
        memory::clock::ManualClock,
        ports::store::{Item, Key, StoreErrorKind, Write},
        schema::USERS,
    };
    use serde_json::json;

    use super::*;
    use crate::store::sqlite::{
        connection::open_writer, files::create_new, migrate::create_missing, writer::Writer,
    };

    /// A writer whose disk holds less than a megabyte more.
    fn on_a_small_disk(file: &Path) -> Writer {
        drop(create_new(file).unwrap());
        let connection = open_writer(file).unwrap();
        create_missing(&connection).unwrap();
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 200).unwrap();
        Writer::start(connection, Arc::new(ManualClock::default()), None).unwrap()
    }

    fn puts(name: &str, count: usize, size: usize) -> Vec<Prepared> {
        let put = |n: usize| {
            let mut item = Item::new();
            item.insert("text".into(), json!("x".repeat(size)));
            let write =
                Write::Put { key: Key::new(&USERS, format!("{name}{n}")), item, when: Condition::Absent };
            Prepared::new(&write, Version(1)).unwrap()
        };
        (0..count).map(put).collect()
    }

    #[tokio::test]
    async fn a_full_disk_fails_only_the_callers_that_it_has_no_room_for() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("small.db");
        let writer = on_a_small_disk(&file);
        let callers = [("a", 1, 10), ("b", 10, 300_000), ("c", 2, 10), ("a", 1, 10), ("d", 1, 10)];
        let callers = callers.map(|(name, count, size)| writer.transact(puts(name, count, size)));
        let results = join_all(callers).await;
        let kinds: Vec<_> = results.into_iter().map(|result| result.map_err(|error| error.kind)).collect();
        let conflict = Err(StoreErrorKind::Conflict { write: 0 });
        assert_eq!(kinds, [Ok(()), Err(StoreErrorKind::Unavailable), Ok(()), conflict, Ok(())]);
        writer.close().await.unwrap();
        let connection = open_writer(&file).unwrap();
        let sql = "SELECT group_concat(user_id, ' ') FROM users";
        let stored: String = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        assert_eq!(stored, "a0 c0 c1 d0");
    }

    #[tokio::test]
    async fn a_held_database_is_unavailable() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("held.db");
        drop(create_new(&file).unwrap());
        let connection = open_writer(&file).unwrap();
        create_missing(&connection).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        let writer = Writer::start(connection, Arc::new(ManualClock::default()), None).unwrap();
        let other = open_writer(&file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let results = join_all(["a", "b"].map(|name| writer.transact(puts(name, 1, 1)))).await;
        for result in results {
            assert_eq!(result.unwrap_err().kind, StoreErrorKind::Unavailable);
        }
        assert_eq!(writer.purge().await.unwrap_err().kind, StoreErrorKind::Unavailable);
        other.execute_batch("ROLLBACK").unwrap();
        writer.transact(puts("a", 1, 1)).await.unwrap();
    }
}
