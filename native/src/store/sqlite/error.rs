//! What can go wrong with the database as a whole, and how SQLite's errors reach the callers of the store.

use std::{io, path::PathBuf};

use portico_core::ports::store::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// Why a database cannot be opened, backed up or restored, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another process holds the data directory.
    #[error(
        "the data directory {} is in use by another Portico process; stop that one, or give this one \
         another DATA_DIR", dir.display()
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// A newer program wrote the database.
    #[error(
        "{} was written by a newer Portico (schema {found}; this one knows {known}); run that version, or \
         restore a backup of this one", file.display()
    )]
    Newer {
        /// The database file.
        file: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is no database of Portico's, or its content is damaged.
    #[error("{} is damaged, or not a Portico database ({detail}); keep it, and restore a backup", file.display())]
    Damaged {
        /// The database file.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The log lost transactions that were acknowledged.
    #[error(
        "{log} is damaged: at least {transactions} transactions behind byte {whole_bytes} cannot be read; keep it with its database \
         and restore a backup, or, to go on without them, run `truncate -s {whole_bytes} {log}` and then `portico doctor`",
        log = log.display()
    )]
    LogDamaged {
        /// The log.
        log: PathBuf,
        /// How many of its transactions cannot be read.
        transactions: u64,
        /// Where the last one ends that can.
        whole_bytes: u64,
    },
    /// There was a database, and there is none any more.
    #[error(
        "{} is gone or empty, and there was one: restore a backup, or delete {} to begin with nothing",
        file.display(), lock.display()
    )]
    Gone {
        /// The database file.
        file: PathBuf,
        /// The lock's file, which remembers it.
        lock: PathBuf,
    },
    /// A restore into the directory began and did not end.
    #[error("a restore into {} was interrupted; run it again", dir.display())]
    Interrupted {
        /// The data directory.
        dir: PathBuf,
    },
    /// The target exists, and would have to be replaced.
    #[error("{} exists already and was left as it is", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("{}: {source}{}", path.display(), advice(source.kind()))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("{}: {source}{}", file.display(), sqlite_advice(source))]
    Sqlite {
        /// The database file.
        file: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

impl DatabaseError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn sqlite(file: impl Into<PathBuf>) -> impl FnOnce(rusqlite::Error) -> Self {
        let file = file.into();
        move |source| match kind(&source) {
            StoreErrorKind::Corrupt => Self::Damaged { file, detail: source.to_string() },
            _ => Self::Sqlite { file, source },
        }
    }
}

/// What an operator can do about a disk.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; the disk of DATA_DIR is full: make space, or move it to a larger one"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; DATA_DIR is read-only for this program: make it writable for the user that runs it, or set another"
        }
        _ => "",
    }
}

fn sqlite_advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => advice(io::ErrorKind::StorageFull),
        Some(ErrorCode::ReadOnly) => advice(io::ErrorKind::ReadOnlyFilesystem),
        // What SQLite says of its shared memory when there is no room for it.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            "; the disk of DATA_DIR may be full or failing: make space, and look at the system's log"
        }
        _ => "",
    }
}

/// The error that a caller of the store sees.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    StoreError::new(kind(&error), "SQLite refuses").caused_by(error)
}

/// The kind that an SQLite error is to a caller of the store.
pub(super) fn kind(error: &rusqlite::Error) -> StoreErrorKind {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
        NotADatabase, OperationInterrupted, OutOfMemory, ReadOnly, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => StoreErrorKind::Corrupt,
        Some(
            CannotOpen
            | DatabaseBusy
            | DatabaseLocked
            | DiskFull
            | FileLockingProtocolFailed
            | OperationInterrupted
            | OutOfMemory
            | ReadOnly
            | SystemIoFailure,
        ) => StoreErrorKind::Unavailable,
        Some(_) => StoreErrorKind::Unexpected,
        // A column of another type than was ever written there.
        None => StoreErrorKind::Corrupt,
    }
}
