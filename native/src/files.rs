//! Files and folders that only their owner may read, written whole or not at all.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::path::Path;

/// Creates a folder, and those above it, for its owner alone (mode 0700); one that exists is left as it is.
///
/// # Errors
/// When it cannot be created, or something else has its name.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Puts a file in place at once, for its owner alone (mode 0600), and on disk before it returns.
///
/// # Errors
/// When any step fails; the file then is as it was.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = parent(path);
    // Temporary files have mode 0600 from the start.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(folder)
}

/// The same, but fails if the file exists.
///
/// # Errors
/// As [`write_private`], and `AlreadyExists`.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = parent(path);
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    sync_dir(folder)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder outlast a power failure, where folders can be synced.
///
/// # Errors
/// When it cannot be opened or synced.
pub(crate) fn sync_dir(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
