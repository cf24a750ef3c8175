//! The data directory: its lock, and files that only their owner reads.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::error::DatabaseError;

/// The database's name within the data directory.
pub const DATABASE: &str = "portico.db";

const LOCK: &str = "portico.lock";

/// The right to use a data directory; gone when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub(super) struct DirLock(File);

impl DirLock {
    /// Creates the directory if there is none, and locks it.
    pub(super) fn take(dir: &Path) -> Result<Self, DatabaseError> {
        create_dir(dir).map_err(DatabaseError::io(dir))?;
        let path = dir.join(LOCK);
        let file = private().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(DatabaseError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(DatabaseError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(DatabaseError::Io { path, source }),
        }
    }

    /// Notes in the lock's file that the directory has a database from now on.
    pub(super) fn note_database(&self, dir: &Path) -> Result<(), DatabaseError> {
        let note = || match self.0.metadata()?.len() {
            0 => (&self.0).write_all(b"there is a database\n").and_then(|()| self.0.sync_all()),
            _ => Ok(()),
        };
        note().map_err(DatabaseError::io(dir.join(LOCK)))
    }
}

/// Whether a directory's database is gone, or empty, though there was one. Nothing else tells a disk that lost it from a
/// directory that is used for the first time.
pub fn is_gone(dir: &Path) -> bool {
    let length = |name| fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len());
    length(LOCK) > 0 && length(DATABASE) == 0
}

/// Refuses a directory whose database is gone.
pub(super) fn refuse_gone(dir: &Path) -> Result<(), DatabaseError> {
    if is_gone(dir) {
        return Err(DatabaseError::Gone { file: dir.join(DATABASE), lock: dir.join(LOCK) });
    }
    Ok(())
}

/// Creates an empty file that only its owner reads; fails if there is one.
pub(super) fn create_new(path: &Path) -> Result<File, DatabaseError> {
    private().create_new(true).write(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DatabaseError::Exists { path: path.to_owned() },
        _ => DatabaseError::Io { path: path.to_owned(), source },
    })
}

/// Brings a file's content to the disk.
pub(super) fn sync(path: &Path) -> Result<(), DatabaseError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(DatabaseError::io(path))
}

/// Brings the names in a file's directory to the disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), DatabaseError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

/// A path with more behind its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> Result<(), DatabaseError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DatabaseError::io(path)(error)),
        _ => Ok(()),
    }
}

fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
