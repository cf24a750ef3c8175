//! Items and files under the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;

use super::{FILES, Kept, StartError};
use crate::blobs::dir::DirBlobs;
use crate::files::create_private_dir;
use crate::store::sqlite::SqliteStore;

/// Opens the store first, for its lock.
pub(super) fn open(
    data_dir: &Path,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Kept, StartError> {
    create_private_dir(data_dir)
        .map_err(StartError::io(format!("DATA_DIR {} cannot be created", data_dir.display())))?;
    let store = Arc::new(SqliteStore::open(data_dir, Arc::clone(clock), Arc::clone(entropy))?);
    let blobs = open_blobs(data_dir.join(FILES))?;
    Ok(Kept { store: Arc::clone(&store) as _, blobs, presigner: None, embedded: Some(store) })
}

fn open_blobs(folder: PathBuf) -> Result<Arc<DirBlobs>, StartError> {
    let what = format!("{} cannot be used", folder.display());
    Ok(Arc::new(DirBlobs::open(folder).map_err(StartError::io(what))?))
}
