//! A folder of blobs seen from beside its server: listed, checked and copied from, in use or not.
//!
//! Only copying writes, and only to a folder that nobody serves; what a server may be using is never changed.

use std::fs::{self, DirEntry, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};
use portico_core::ports::blobs::{BlobInfo, BlobKey};

use super::{Folder, hex, record};
use crate::files::{create_private_dir, sync_dir};

/// How much is read at once to be hashed.
const BUFFER_BYTES: usize = 256 * 1024;

/// A blob's name in every folder: the SHA-256 of its key.
pub type Name = [u8; 32];

/// The blobs of a folder.
#[derive(Clone, Debug)]
pub struct Inventory {
    folder: Folder,
}

/// Why a blob was not copied.
#[derive(Debug)]
pub enum CopyError {
    /// It is not there (`NotFound`), not any more what was written (`InvalidData`), or cannot be read.
    Source(io::Error),
    /// It cannot be written.
    Target(io::Error),
}

impl Inventory {
    /// The blobs of a folder, which need not be there.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self { folder: Folder { root: root.into() } }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.folder.root
    }

    /// Reads what a blob is, without its bytes.
    ///
    /// # Errors
    /// `NotFound`; `InvalidData` when the record or the length is wrong; others when it cannot be read.
    pub fn head(&self, key: &BlobKey) -> io::Result<BlobInfo> {
        record::read(&mut File::open(self.folder.blob(key))?, key)
    }

    /// Reads the whole of a blob, and compares it with its record.
    ///
    /// # Errors
    /// As [`Inventory::head`], and `InvalidData` when the bytes are not those that were written.
    pub fn verify(&self, key: &BlobKey) -> io::Result<BlobInfo> {
        verify(&mut File::open(self.folder.blob(key))?, key)
    }

    /// Copies a blob into a folder that does not have it, reads the copy back and compares it with its record, and brings
    /// it to the disk. Where the file system can, both share their place on the disk until one is changed.
    ///
    /// # Errors
    /// [`CopyError`]; nothing of the copy is left then.
    pub fn copy_to(&self, key: &BlobKey, other: &Self) -> Result<BlobInfo, CopyError> {
        let mut source = File::open(self.folder.blob(key)).map_err(CopyError::Source)?;
        record::read(&mut source, key).map_err(CopyError::Source)?;
        let path = other.folder.blob(key);
        copy(&mut source, &path, key).map_err(|error| {
            // It does not matter here why it cannot be removed: the copy as a whole is given up or tried again.
            drop(fs::remove_file(&path));
            match verify(&mut source, key) {
                Ok(_) => CopyError::Target(error),
                Err(damage) => CopyError::Source(damage),
            }
        })
    }

    /// Removes a blob of a folder that nobody serves, if it is there.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove(&self, key: &BlobKey) -> io::Result<()> {
        match fs::remove_file(self.folder.blob(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Visits every blob, whosesoever; what comes or goes meanwhile may be visited.
    ///
    /// # Errors
    /// When a folder cannot be read, and the visit's own.
    pub fn each(&self, mut visit: impl FnMut(Name, &DirEntry) -> io::Result<()>) -> io::Result<()> {
        for folder in self.folders() {
            for entry in listed(&folder)? {
                let entry = entry?;
                if let Some(name) = name_of_file(&entry) {
                    visit(name, &entry)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there is any blob.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut empty = true;
        self.each(|_, _| {
            empty = false;
            Ok(())
        })?;
        Ok(empty)
    }

    /// Brings the names of all blobs to the disk; their bytes are there already.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&self) -> io::Result<()> {
        self.folders().filter(|folder| folder.exists()).try_for_each(|folder| sync_dir(&folder))?;
        sync_dir(self.root())
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        (0..=u8::MAX).map(|first| self.root().join(hex(&[first])))
    }
}

/// The name of a key's blob.
#[must_use]
pub fn name(key: &BlobKey) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(digest(&SHA256, key.as_str().as_bytes()).as_ref());
    name
}

/// Where a key's blob is in every folder.
#[must_use]
pub fn path(key: &BlobKey) -> PathBuf {
    Folder { root: Path::new("").into() }.blob(key)
}

fn copy(source: &mut File, path: &Path, key: &BlobKey) -> io::Result<BlobInfo> {
    create_private_dir(path.parent().unwrap_or(path))?;
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut target = options.create_new(true).read(true).write(true).open(path)?;
    source.rewind()?;
    io::copy(source, &mut target)?;
    let info = verify(&mut target, key)?;
    // For whoever copies only what is new, and tells it by the time.
    target.set_modified(source.metadata()?.modified()?)?;
    target.sync_all()?;
    Ok(info)
}

fn verify(file: &mut File, key: &BlobKey) -> io::Result<BlobInfo> {
    let info = record::read(file, key)?;
    if let Some(expected) = info.sha256 {
        file.rewind()?;
        if hash(&mut file.take(info.length))? != expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those of its record"));
        }
    }
    Ok(info)
}

fn hash(bytes: &mut impl Read) -> io::Result<[u8; 32]> {
    let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; BUFFER_BYTES]);
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => context.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok(hash)
}

/// What is in a folder that may be absent.
fn listed(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

fn name_of_file(entry: &DirEntry) -> Option<Name> {
    let (text, mut name) = (entry.file_name(), Name::default());
    let read = base16ct::lower::decode(text.to_str()?, &mut name).ok()?;
    (read.len() == name.len()).then_some(name)
}
