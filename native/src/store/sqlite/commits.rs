//! Writing, from the thread's side: one connection, one flush for whatever is waiting (group commit).
//!
//! The thread opens a database transaction, applies callers' transactions in turn until none is waiting,
//! commits, and only then answers: every answer, conflicts too, rests on what is on the disk. Conditions are
//! judged before a caller's first write, so that a conflict leaves nothing to undo.

use std::sync::{Arc, atomic::Ordering};

use portico_core::{
    ports::{
        clock::Clock,
        store::{Condition, StoreError, Version},
        store_index::is_expired,
    },
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    error::{kind, store_error},
    rows::{corrupt, decode, note_damage},
    schema::{STATEMENTS, Statements},
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
            let outcome = self.begin().map_err(store_error).and_then(|()| self.apply(&caller.writes));
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
        outcome: Result<Outcome, StoreError>,
        committed: &rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        match (outcome, committed) {
            (Err(error), _) => Err(error),
            (_, Err(error)) => Err(StoreError::new(kind(error), format!("the commit failed: {error}"))),
            (Ok(Err(write)), _) => Err(StoreError::conflict(write)),
            (Ok(Ok(())), _) => Ok(()),
        }
    }

    fn apply(&self, writes: &[Prepared]) -> Result<Outcome, StoreError> {
        for (index, write) in writes.iter().enumerate() {
            if write.when != Condition::Always && !write.when.holds(self.version(write)?) {
                return Ok(Err(index));
            }
        }
        writes.iter().try_for_each(|write| {
            let changed = self.change(write).map_err(store_error);
            changed.inspect_err(|error| note_damage(write.key.table, error))
        })?;
        Ok(Ok(()))
    }

    fn change(&self, write: &Prepared) -> rusqlite::Result<()> {
        let Prepared { statements, key, change, .. } = write;
        match change {
            Change::Put { text, version, checksum } => self
                .connection
                .prepare_cached(&statements.put)?
                .execute((&key.hash, &key.range, text, version, checksum))?,
            Change::Delete => {
                self.connection.prepare_cached(&statements.delete)?.execute((&key.hash, &key.range))?
            }
            Change::None => 0,
        };
        Ok(())
    }

    fn version(&self, write: &Prepared) -> Result<Option<Version>, StoreError> {
        let (now, key) = (self.clock.now(), &write.key);
        let found = self.connection.prepare_cached(&write.statements.version).and_then(|mut statement| {
            let parameters = (&key.hash, &key.range, now.as_seconds());
            let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
            statement.query_row(parameters, columns).optional()
        });
        match found.map_err(store_error)? {
            None => Ok(None),
            Some((version, false)) => Ok(Some(Version(version.cast_unsigned()))),
            Some((_, true)) => self.check_expired(write, now).map(|()| None),
        }
    }

    /// What has expired may be replaced; what only looks so is damaged, and may not.
    fn check_expired(&self, write: &Prepared, now: Timestamp) -> Result<(), StoreError> {
        let (key, table) = (&write.key, write.key.table);
        let read = self.connection.prepare_cached(&write.statements.get).and_then(|mut statement| {
            statement.query_row((&key.hash, &key.range), |row| Ok(decode(table, row)))
        });
        let checked = read.map_err(store_error).flatten().and_then(|stored| {
            let expired = is_expired(table, &stored.item, now);
            if expired { Ok(()) } else { Err(corrupt(table, "an item expired too early")) }
        });
        checked.inspect_err(|error| note_damage(table, error))
    }

    fn purge(&mut self) -> rusqlite::Result<usize> {
        let now = self.clock.now();
        self.begin()?;
        let mut purged = 0;
        for statements in STATEMENTS.iter() {
            match self.purge_table(statements, PURGED - purged, now) {
                Ok(count) => purged += count,
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        self.commit().map(|()| purged)
    }

    /// Removes at most so many expired items of a table. Those that are damaged are evidence, and stay.
    fn purge_table(&self, statements: &Statements, most: usize, now: Timestamp) -> rusqlite::Result<usize> {
        let Some(expired) = &statements.expired else { return Ok(0) };
        let table = statements.table;
        let mut select = self.connection.prepare_cached(expired)?;
        let most = i64::try_from(most).unwrap_or_default();
        let rows = select.query_map((now.as_seconds(), most), |row| {
            let sound = decode(table, row).inspect_err(|error| note_damage(table, error));
            let expired = sound.is_ok_and(|stored| is_expired(table, &stored.item, now));
            expired.then(|| row.get(3)).transpose()
        })?;
        let rows = rows.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut delete = self.connection.prepare_cached(&statements.delete_row)?;
        rows.iter().try_for_each(|row| delete.execute([row]).map(drop))?;
        Ok(rows.len())
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

    use super::super::{connection::open_writer, files::create_new, migrate::create_missing, writer::Writer};
    use super::*;

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
