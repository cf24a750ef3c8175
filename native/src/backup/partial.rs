//! A backup that is not whole yet: a folder beside its later one, which only one process fills.
//!
//! Its name ends in `.partial`. Dropped, it is removed; one that a kill left behind goes when its backup is tried again.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::BackupError;
use crate::files::{create_private_dir, sync_dir};
use crate::store::sqlite::DatabaseError;

/// The folder, locked.
#[derive(Debug)]
pub(super) struct Partial {
    to: PathBuf,
    path: PathBuf,
    /// Held for its lock, which moves with the folder.
    _lock: Option<File>,
}

impl Partial {
    /// Takes the folder for a backup, empty.
    ///
    /// # Errors
    /// `Exists` when the backup is there, `UnderWay`, `Io`: the folder above must be there, for else a disk that is not
    /// mounted would go unnoticed.
    pub(super) fn create(to: &Path) -> Result<Self, BackupError> {
        // Without a separator at the end.
        let to: PathBuf = to.components().collect();
        if to.symlink_metadata().is_ok() {
            return Err(DatabaseError::Exists { path: to }.into());
        }
        let above = above(&to);
        fs::metadata(above).map_err(BackupError::io(above))?;
        let path = with_suffix(&to, ".partial");
        create_private_dir(&path).map_err(BackupError::io(&path))?;
        let lock = lock(&path, &to)?;
        let partial = Self { to, path, _lock: lock };
        partial.clear().map_err(BackupError::io(&partial.path))?;
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the backup its name; all of it is on the disk.
    ///
    /// # Errors
    /// `Exists` when another got the name meanwhile, `Io`.
    pub(super) fn publish(self) -> Result<(), BackupError> {
        sync_dir(&self.path).map_err(BackupError::io(&self.path))?;
        if self.to.symlink_metadata().is_ok() {
            return Err(DatabaseError::Exists { path: self.to.clone() }.into());
        }
        // Whatever gets the name just now: a folder with anything in it is not replaced.
        fs::rename(&self.path, &self.to).map_err(BackupError::io(&self.to))?;
        sync_dir(above(&self.to)).map_err(BackupError::io(&self.to))
    }

    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `publish` nothing has the name any more. What cannot be removed does not look whole.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// The folder that an entry is in.
pub(super) fn above(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Locks a folder, where folders can be opened.
fn lock(path: &Path, to: &Path) -> Result<Option<File>, BackupError> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let folder = File::open(path).map_err(BackupError::io(path))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => Err(BackupError::UnderWay { path: to.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BackupError::io(path)(error)),
    }
}
