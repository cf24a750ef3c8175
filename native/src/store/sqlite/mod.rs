//! The store in a file: SQLite in the data directory, for hosts that run alone.
//!
//! Reads run in the caller's thread on connections of their own ([`readers`]); writes are queued to one
//! thread that commits many callers' transactions with one flush ([`writer`], [`commits`]). Acknowledged
//! means on the disk. One process at a time has a data directory.

mod backup;
mod commits;
mod connection;
mod error;
mod files;
mod listing;
mod log;
mod migrate;
mod readers;
mod rows;
mod schema;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use portico_core::{
    ports::store_index::{Plan, new_versions},
    ports::{
        clock::Clock,
        entropy::Entropy,
        store::{Key, Page, Query, Raw, Store, StoreError, Versioned, Write},
        store_ext::check_writes,
    },
};

pub use self::{
    backup::{Restoration, amend, backup, is_interrupted, replaced_at, restore_from, verify},
    error::DatabaseError,
    files::{DATABASE, is_gone},
    listing::{Listing, TableDamage},
    writer::WriterCounts,
};
use self::{
    connection::open_writer,
    files::{DirLock, sync_parent},
    readers::Readers,
    writer::{Prepared, Writer},
};

/// Reads the whole of a data directory's database and of its log, in use or not, and checks that a server could use it.
///
/// # Errors
/// As [`verify`], and `LogDamaged`.
pub fn check(dir: &Path) -> Result<(), DatabaseError> {
    files::refuse_gone(dir)?;
    log::check(dir)?;
    verify(&dir.join(DATABASE))
}

/// Keeps items in an SQLite database.
///
/// Dropping it finishes what is queued; [`SqliteStore::close`] does so and says whether it worked.
#[derive(Debug)]
pub struct SqliteStore {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    // Before the writer, which closes the database as the last.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database of a data directory, creating both where there are none, and brings it to the
    /// present schema.
    ///
    /// # Errors
    /// In words for the operator: the directory is in use, or the database newer, damaged or out of reach.
    pub fn open(
        dir: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DatabaseError> {
        let dir = dir.into();
        let lock = DirLock::take(&dir)?;
        backup::refuse_interrupted_restore(&dir)?;
        files::refuse_gone(&dir)?;
        log::check(&dir)?;
        let file = dir.join(DATABASE);
        match files::create_new(&file) {
            Ok(_) | Err(DatabaseError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut connection = open_writer(&file).map_err(DatabaseError::sqlite(&file))?;
        migrate::migrate(&mut connection, &file)?;
        // SQLite flushes what is in its files; that they are in the directory is for us to flush.
        sync_parent(&file)?;
        lock.note_database(&dir)?;
        let readers = Readers::open(&file).map_err(DatabaseError::sqlite(&file))?;
        let writer = Writer::start(connection, clock.clone(), Some(lock)).map_err(DatabaseError::io(&dir))?;
        Ok(Self { dir, clock, entropy, readers, writer })
    }

    /// Removes the items that have expired, a few at a time between other writes. Returns their number.
    ///
    /// # Errors
    /// As [`Store::transact`]; what was removed before stays removed.
    pub async fn purge_expired(&self) -> Result<usize, StoreError> {
        let mut purged = 0;
        loop {
            let (count, done) = self.writer.purge().await?;
            purged += count;
            if done {
                return Ok(purged);
            }
        }
    }

    /// Writes a consistent copy of the database to a new file; see [`backup`].
    ///
    /// # Errors
    /// As [`backup`].
    pub fn backup_to(&self, to: &Path) -> Result<(), DatabaseError> {
        backup(&self.dir, to)
    }

    /// Finishes what is queued, brings everything into the one database file, and lets go of the directory.
    /// Whatever is asked of the store afterwards is `Unavailable`.
    ///
    /// # Errors
    /// `Unavailable` when it is closed already.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        self.writer.close().await
    }

    /// What was written since the store was opened, for metrics.
    #[must_use]
    pub fn writer_counts(&self) -> WriterCounts {
        self.writer.counts()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.readers.get(key, self.clock.now())
    }

    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        let found = self.readers.get_text(key, self.clock.now())?;
        Ok(found.map(|(text, version)| Raw::Text(text, version)))
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.readers.query(&Plan::of(query)?, self.clock.now())
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        check_writes(writes)?;
        if writes.is_empty() {
            return Ok(());
        }
        let versions = new_versions(&*self.entropy, writes.len())?;
        let prepared = writes.iter().zip(versions).map(|(write, version)| Prepared::new(write, version));
        self.writer.transact(prepared.collect::<Result<_, _>>()?).await
    }
}
