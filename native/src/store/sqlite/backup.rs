//! Copies of the database: taken while it serves, verified, and put back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use portico_core::ports::clock::Clock;
use portico_core::ports::store::{Item, Key};
use rusqlite::{Connection, OpenFlags};

use super::{
    connection::open_reader,
    error::DatabaseError,
    files::{DATABASE, DirLock, create_new, remove, sync, sync_parent, with_suffix},
    listing::Listing,
    migrate::{known_version, migrate},
    rows::checksum,
    schema::Statements,
};

/// The name under which a restore prepares the database.
const RESTORING: &str = "portico.db.restoring";

/// Writes a consistent, compact copy of a data directory's database to a new file, and verifies it. The
/// directory may be in use, by this process or another.
///
/// It blocks for as long as copying and checking take; callers on an asynchronous runtime move it aside.
///
/// # Errors
/// `Exists` when the target does; nothing is left behind on any error.
pub fn backup(dir: &Path, to: &Path) -> Result<(), DatabaseError> {
    let source = dir.join(DATABASE);
    // Else SQLite would only say that it is "unable to open database file".
    fs::metadata(&source).map_err(DatabaseError::io(&source))?;
    let connection = open_reader(&source).map_err(DatabaseError::sqlite(&source))?;
    known_version(&connection, &source)?;
    // The name is taken first, so that no other file can be replaced; the copy gets it when it is whole.
    drop(create_new(to)?);
    let partial = with_suffix(to, ".partial");
    let written = copy(&connection, &source, &partial).and_then(|()| publish(&partial, to));
    if written.is_err() {
        for leftover in [&partial, to] {
            drop(remove(leftover));
        }
    }
    written
}

/// Replaces items of a copy, which nothing else uses, and verifies it anew.
///
/// # Errors
/// `Damaged` when an item is not there, `Sqlite`.
pub fn amend(copy: &Path, items: &[(Key, Item)]) -> Result<(), DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(copy, flags).map_err(DatabaseError::sqlite(copy))?;
    // A copy of an older one, too, is written as this program does.
    migrate(&mut connection, copy)?;
    let replaced = connection.transaction().and_then(|transaction| {
        items.iter().try_for_each(|(key, item)| replace(&transaction, key, item))?;
        transaction.commit()
    });
    replaced.map_err(DatabaseError::sqlite(copy))?;
    drop(connection);
    verify(copy)?;
    sync(copy)
}

/// Puts a backup in the place of a data directory's database.
///
/// A database that is there is kept beside it under a name with the time (`portico.db.replaced-…`).
///
/// # Errors
/// `Damaged` or `Newer` for the backup, `InUse` for the directory, and `Exists` when it has a database and
/// `force` is not set; in each case nothing is changed.
pub fn restore_from(file: &Path, dir: &Path, force: bool, clock: &dyn Clock) -> Result<(), DatabaseError> {
    let restoration = Restoration::begin(file, dir)?;
    if !force {
        restoration.refuse_existing()?;
    }
    if let Err(error) = restoration.prepare() {
        restoration.give_up();
        return Err(error);
    }
    restoration.set_aside(&replaced_at(clock))?;
    restoration.finish()
}

/// A restore under way: prepare, set aside, finish. It has the directory for itself.
///
/// From setting aside to the end, no database has its name: a kill in between leaves a directory that is not opened,
/// and in which a restore can begin again.
#[derive(Debug)]
pub struct Restoration {
    from: PathBuf,
    database: PathBuf,
    restoring: PathBuf,
    /// Whether an earlier one had begun to replace what was there, and did not end.
    resumed: bool,
    _lock: DirLock,
}

impl Restoration {
    /// Checks the backup, and locks the directory, which is created if need be.
    ///
    /// # Errors
    /// `Damaged` or `Newer` for the backup, `InUse` for the directory.
    pub fn begin(file: &Path, dir: &Path) -> Result<Self, DatabaseError> {
        verify(file)?;
        let lock = DirLock::take(dir)?;
        let resumed = is_interrupted(dir);
        let (database, restoring) = (dir.join(DATABASE), dir.join(RESTORING));
        Ok(Self { from: file.to_owned(), database, restoring, resumed, _lock: lock })
    }

    /// Whether it goes on with one that was interrupted: what there was to protect is protected.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Refuses to replace a database.
    ///
    /// # Errors
    /// `Exists`.
    pub fn refuse_existing(&self) -> Result<(), DatabaseError> {
        let path = self.database.clone();
        if path.exists() { Err(DatabaseError::Exists { path }) } else { Ok(()) }
    }

    /// Copies the backup's database beside the one that there is, and verifies the copy.
    ///
    /// # Errors
    /// `Io`, `Damaged`; see [`Restoration::give_up`].
    pub fn prepare(&self) -> Result<(), DatabaseError> {
        let restoring = &self.restoring;
        match create_new(restoring) {
            Ok(_) | Err(DatabaseError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        // Onto the existing file, whose mode keeps others out, and whose name tells of an interrupted restore.
        let target = fs::OpenOptions::new().write(true).truncate(true).open(restoring);
        let mut target = target.map_err(DatabaseError::io(restoring))?;
        let mut source = fs::File::open(&self.from).map_err(DatabaseError::io(&self.from))?;
        std::io::copy(&mut source, &mut target).map_err(DatabaseError::io(restoring))?;
        verify(restoring)?;
        sync(restoring)?;
        sync_parent(restoring)
    }

    /// The prepared copy.
    #[must_use]
    pub fn prepared(&self) -> &Path {
        &self.restoring
    }

    /// Takes back what was prepared, unless the directory would then look as if there had never been a database.
    pub fn give_up(self) {
        if !self.resumed {
            // What cannot be removed is in nobody's way.
            drop(remove(&self.restoring));
        }
    }

    /// Keeps the old database and its log, under names that belong together.
    ///
    /// # Errors
    /// `Exists` when the names are taken, `Io`.
    pub fn set_aside(&self, suffix: &str) -> Result<(), DatabaseError> {
        let aside = with_suffix(&self.database, suffix);
        if aside.exists() {
            return Err(DatabaseError::Exists { path: aside });
        }
        // The database first: a log without its database is ignored, but a database without its log has lost
        // its latest transactions.
        for part in ["", "-wal"] {
            let path = with_suffix(&self.database, part);
            if path.exists() {
                rename(&path, &with_suffix(&aside, part))?;
            }
        }
        remove(&with_suffix(&self.database, "-shm"))?;
        sync_parent(&self.database)
    }

    /// Gives the prepared copy the database's name.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(self) -> Result<(), DatabaseError> {
        rename(&self.restoring, &self.database)?;
        sync_parent(&self.database)
    }
}

/// What is behind the names of what a restore sets aside.
#[must_use]
pub fn replaced_at(clock: &dyn Clock) -> String {
    format!(".replaced-{}", clock.now().to_string().replace([':', '.'], "-"))
}

/// Whether a restore had taken a directory's old database away and not yet put the new one there.
#[must_use]
pub fn is_interrupted(dir: &Path) -> bool {
    dir.join(RESTORING).exists() && !dir.join(DATABASE).exists()
}

/// Refuses a directory in which a restore was interrupted.
pub(super) fn refuse_interrupted_restore(dir: &Path) -> Result<(), DatabaseError> {
    if is_interrupted(dir) { Err(DatabaseError::Interrupted { dir: dir.to_owned() }) } else { Ok(()) }
}

fn copy(connection: &Connection, source: &Path, partial: &Path) -> Result<(), DatabaseError> {
    remove(partial)?;
    // SQLite fills an empty file and keeps its mode.
    drop(create_new(partial)?);
    let target = partial.to_str().ok_or_else(|| DatabaseError::Io {
        path: partial.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    })?;
    connection.execute("VACUUM INTO ?1", [target]).map_err(DatabaseError::sqlite(source))?;
    verify(partial)?;
    sync(partial)
}

fn publish(partial: &Path, to: &Path) -> Result<(), DatabaseError> {
    rename(partial, to)?;
    sync_parent(to)
}

/// Reads the whole of a database, in use or not, and checks that this program could use it.
///
/// # Errors
/// `Damaged`, `Newer`, `Io`, `Sqlite`.
pub fn verify(file: &Path) -> Result<(), DatabaseError> {
    let metadata = fs::metadata(file).map_err(DatabaseError::io(file))?;
    let damaged = |detail: &str| DatabaseError::Damaged { file: file.to_owned(), detail: detail.to_owned() };
    if metadata.len() == 0 {
        return Err(damaged("the file is empty"));
    }
    let sqlite = || DatabaseError::sqlite(file);
    let connection = open_reader(file).map_err(sqlite())?;
    known_version(&connection, file)?;
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0)).map_err(sqlite())?;
    if found != "ok" {
        return Err(damaged(&found));
    }
    match Listing::open(file)?.damage()?.first() {
        None => Ok(()),
        Some(damage) => Err(damaged(&damage.to_string())),
    }
}

fn replace(connection: &Connection, key: &Key, item: &Item) -> rusqlite::Result<()> {
    let statements = Statements::of(key.table)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let version: i64 =
        connection.query_row(&statements.get, (&key.hash, &key.range), |row| row.get("version"))?;
    let text = serde_json::Value::from(item.clone()).to_string();
    let checksum = checksum(key.table, version, text.as_bytes());
    connection.execute(&statements.put, (&key.hash, &key.range, text, version, checksum)).map(drop)
}

fn rename(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    fs::rename(from, to).map_err(DatabaseError::io(to))
}
