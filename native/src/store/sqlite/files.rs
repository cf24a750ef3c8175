//! The data directory: its lock, and files that only their owner reads.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::error::DatabaseError;

/// The database's name within the data directory.
pub const DATABASE: &str = "portico.db";

const LOCK: &str = "portico.lock";

/// The right to use a data directory; gone when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub(super) struct DirLock(#[expect(dead_code, reason = "held for its lock")] File);

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
