//! Copies of the database: taken while it serves, verified, and put back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use portico_core::ports::clock::Clock;
use rusqlite::Connection;

use super::{
    connection::open_reader,
    error::DatabaseError,
    files::{DATABASE, DirLock, create_new, remove, sync, sync_parent, with_suffix},
    migrate::known_version,
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

/// Puts a backup in the place of a data directory's database.
///
/// A database that is there is kept beside it under a name with the time (`portico.db.replaced-…`).
///
/// # Errors
/// `Damaged` or `Newer` for the backup, `InUse` for the directory, and `Exists` when it has a database and
/// `force` is not set; in each case nothing is changed.
pub fn restore_from(file: &Path, dir: &Path, force: bool, clock: &dyn Clock) -> Result<(), DatabaseError> {
    verify(file)?;
    let _lock = DirLock::take(dir)?;
    let (database, restoring) = (dir.join(DATABASE), dir.join(RESTORING));
    if database.exists() && !force {
        return Err(DatabaseError::Exists { path: database });
    }
    remove(&restoring)?;
    drop(create_new(&restoring)?);
    // Onto the existing file, whose mode keeps others out.
    let mut target =
        fs::OpenOptions::new().write(true).open(&restoring).map_err(DatabaseError::io(&restoring))?;
    let mut source = fs::File::open(file).map_err(DatabaseError::io(file))?;
    std::io::copy(&mut source, &mut target).map_err(DatabaseError::io(&restoring))?;
    verify(&restoring)?;
    sync(&restoring)?;
    set_aside(&database, clock)?;
    rename(&restoring, &database)?;
    sync_parent(&database)
}

/// Refuses a directory in which a restore had taken the old database away and not yet put the new one there.
pub(super) fn refuse_interrupted_restore(dir: &Path) -> Result<(), DatabaseError> {
    if dir.join(RESTORING).exists() && !dir.join(DATABASE).exists() {
        return Err(DatabaseError::Interrupted { dir: dir.to_owned() });
    }
    Ok(())
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

/// Reads the whole of a database that nothing uses, and checks that this program could use it.
fn verify(file: &Path) -> Result<(), DatabaseError> {
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
    if found == "ok" { Ok(()) } else { Err(damaged(&found)) }
}

/// Keeps the old database and its log, under names that belong together.
fn set_aside(database: &Path, clock: &dyn Clock) -> Result<(), DatabaseError> {
    let time = clock.now().to_string().replace([':', '.'], "-");
    let aside = with_suffix(database, &format!(".replaced-{time}"));
    if aside.exists() {
        return Err(DatabaseError::Exists { path: aside });
    }
    // The database first: a log without its database is ignored, but a database without its log has lost
    // its latest transactions.
    for suffix in ["", "-wal"] {
        let part: PathBuf = with_suffix(database, suffix);
        if part.exists() {
            rename(&part, &with_suffix(&aside, suffix))?;
        }
    }
    remove(&with_suffix(database, "-shm"))?;
    sync_parent(database)
}

fn rename(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    fs::rename(from, to).map_err(DatabaseError::io(to))
}
