//! Blobs in a folder of this machine.
//!
//! # How they are kept
//! A blob is one file, `<root>/<hh>/<hash>`, named after the SHA-256 of its key: no key can lead elsewhere, clash with
//! another or with a name that the file system reserves, whatever it thinks of case. The bytes come first, so that they
//! are where a reader looks for them; behind them stands a [`record`] of what they are. Bytes and record come into place
//! with one rename, after they are on the disk. What is on its way is in `<root>/tmp`, which is emptied at start: one
//! process at a time may use a folder, as the database's lock sees to.
//!
//! No file is touched on the runtime's own threads, and no body is ever held but for one buffer.

pub mod inventory;
mod reading;
mod record;
mod writing;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use portico_core::http::body::Body;
use portico_core::ports::blobs::{
    Blob, BlobError, BlobErrorKind, BlobInfo, BlobKey, Blobs, ByteRange, PutTerms,
};

use crate::files::{create_private_dir, sync_dir};

/// Blobs in a folder.
pub struct DirBlobs {
    folder: Folder,
}

impl DirBlobs {
    /// Opens the folder, which is created for its owner alone, and removes what never was completed.
    ///
    /// # Errors
    /// When the folder cannot be created, read or written.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        let folder = Folder { root: root.into() };
        folder.prepare()?;
        Ok(Self { folder })
    }
}

#[async_trait]
impl Blobs for DirBlobs {
    async fn put(&self, key: &BlobKey, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
        writing::put(&self.folder, key, terms, body).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Blob>, BlobError> {
        reading::get(&self.folder, key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
        reading::head(&self.folder, key).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = self.folder.blob(key);
        blocking(move || remove(&path).map_err(unavailable("a file cannot be removed"))).await
    }
}

impl fmt::Debug for DirBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirBlobs").field("root", &self.folder.root).finish_non_exhaustive()
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
struct Folder {
    root: Arc<Path>,
}

impl Folder {
    /// Makes every folder there will ever be, so that a put has to sync but the one that it writes to.
    fn prepare(&self) -> io::Result<()> {
        create_private_dir(&self.incoming())?;
        for leftover in fs::read_dir(self.incoming())? {
            fs::remove_file(leftover?.path())?;
        }
        for first in 0..=u8::MAX {
            create_private_dir(&self.root.join(hex(&[first])))?;
        }
        sync_dir(&self.root)?;
        sync_dir(self.root.parent().unwrap_or(&self.root))
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn blob(&self, key: &BlobKey) -> PathBuf {
        let name = hex(digest(&SHA256, key.as_str().as_bytes()).as_ref());
        self.root.join(&name[..2]).join(&name)
    }
}

/// Removes a file for good. One that is absent may have gone a moment ago, and not yet for good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(path.parent().unwrap_or(path)),
    }
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Does work on files on a thread where it may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(BlobError::new(BlobErrorKind::Unavailable, "work on a file ended early").caused_by(error))
    })
}

/// Maps failures of the file system; operators need to know at once of those that will not pass.
fn unavailable(what: &'static str) -> impl FnOnce(io::Error) -> BlobError {
    move |error| {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            tracing::error!(%error, "{what}: there is no space left in DATA_DIR; free some, or move it to a larger disk");
        } else if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
        {
            tracing::error!(%error, "{what}: DATA_DIR must belong to the user that runs this program, and be writable");
        }
        BlobError::new(BlobErrorKind::Unavailable, format!("{what}: {error}")).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_disk_refuses_is_unavailable_and_says_why() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
            let error = unavailable("a file cannot be written")(kind.into());
            assert_eq!(error.kind, BlobErrorKind::Unavailable);
            assert!(error.detail.starts_with("a file cannot be written: "), "{}", error.detail);
            assert!(error.source.is_some());
        }
    }
}
