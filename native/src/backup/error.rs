//! Why there is no backup, or no restore.

use std::io;
use std::path::{Path, PathBuf};

use super::Damage;
use crate::store::sqlite::DatabaseError;

/// Why a data directory cannot be backed up or restored, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database, or a name that is taken.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Another process writes the same backup.
    #[error("another backup to {} is under way", path.display())]
    UnderWay {
        /// The backup.
        path: PathBuf,
    },
    /// There is not enough space.
    #[error(
        "{} has {} MiB free, and {} are needed: make space, or choose another disk",
        path.display(), free / (1024 * 1024), needed.div_ceil(1024 * 1024)
    )]
    NoSpace {
        /// A folder on the disk.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// Files are missing in a backup, or damaged.
    #[error(
        "{} lacks {} files, or has them damaged, and nothing was changed: copy it anew, take another, or restore the rest \
         with --incomplete", path.display(), damage.files
    )]
    Incomplete {
        /// The backup.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl BackupError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Refuses to begin what the disk has no room for: the server may need what is left of it.
pub(super) fn check_space(folder: &Path, needed: u64) -> Result<(), BackupError> {
    let free = fs4::available_space(folder).map_err(BackupError::io(folder))?;
    if free < needed { Err(BackupError::NoSpace { path: folder.to_owned(), free, needed }) } else { Ok(()) }
}
