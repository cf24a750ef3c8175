//! How the database is opened, and why with these settings.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// Marks the file as a database of Portico's (`PRAGMA application_id`; the letters "Prtc").
pub(super) const APPLICATION_ID: i64 = 0x5072_7463;

/// Statements that a connection keeps prepared: more than the schema gives rise to, so that none is parsed
/// twice.
const STATEMENTS: usize = 256;

/// Opens the one connection that writes.
pub(super) fn open_writer(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(file, flags)?;
    // Readers do not wait for the writer, nor it for them.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on the disk when it is acknowledged; NORMAL would lose the latest when the machine fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // 16 MiB of log between checkpoints: a page that is written often reaches the database file less often.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // A log that grew under one long read (a backup) gives its space back.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(connection)
}

/// Opens a connection that only reads.
///
/// No `mmap_size`: through a map, a failing disk ends the process by a signal instead of an error, and the
/// mapped pages count as the process's memory. What it would save is a copy from the system's page cache.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(file, flags)?;
    // Small: every commit elsewhere empties it, and behind it is the system's page cache.
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

fn open(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags)?;
    // Only another process (a shell, a backup) can be in the way, and not for long.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A restored file comes from outside; its schema calls no functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}
