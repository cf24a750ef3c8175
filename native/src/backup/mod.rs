//! Backups of a whole data directory: the database and the uploaded files, as one folder that holds both.
//!
//! # What a backup is
//! `portico.db`, a copy of the database that is sound by itself, and `files/`, in which there are the bytes of every file
//! that is ready in it, kept as the server keeps them. The folder has its name only once all of it was read back,
//! compared with its hashes, and is on the disk. It is plain folders and files, so that copying it elsewhere, by
//! whatever program, transfers only what is new.
//!
//! # How it comes to agree with itself while the server runs
//! Bytes never change under a ready record, and are removed only after their record was marked. So the files come first,
//! which may take hours; then the database, at one instant; then the few files that came in between. What its owner
//! deleted in between is marked so in the copy, and core finishes the deletion after a restore, as it does after a crash.

mod error;
mod partial;
mod restore;
mod take;

use std::fmt;
use std::path::{Path, PathBuf};

use portico_core::files::model::{File, State};

use crate::blobs::dir::inventory;
use crate::host::FILES;

pub use self::error::BackupError;
pub(crate) use self::restore::RESTORING;
pub use self::restore::{Restored, Wish, restore};
pub use self::take::{Taken, take};

/// What is told of one by one; of more, only how many there are.
const NAMED: usize = 10;

/// Ready files without sound bytes.
#[derive(Debug, Default)]
pub struct Damage {
    /// How many there are.
    pub files: u64,
    /// The first of them.
    pub named: Vec<Damaged>,
}

/// A ready file without sound bytes.
#[derive(Debug)]
pub struct Damaged {
    /// Its id.
    pub file_id: String,
    /// Where its bytes belong, in the data directory and in every backup of it.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl Damage {
    pub(crate) fn add(&mut self, file: &File, reason: impl ToString) {
        self.files += 1;
        if self.named.len() < NAMED {
            let place = file.blob_key().map(|key| inventory::path(&key)).unwrap_or_default();
            let (file_id, path) = (file.file_id.clone(), Path::new(FILES).join(place));
            self.named.push(Damaged { file_id, path, reason: reason.to_string() });
        }
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.file_id)
    }
}

/// Files, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many files.
    pub files: u64,
    /// How many bytes, without their records.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Whether a file's bytes must be there.
pub(crate) fn is_ready(file: &File) -> bool {
    file.state == State::Ready
}
