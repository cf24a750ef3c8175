//! Taking a backup.

use std::fs;
use std::path::Path;

use portico_core::files::model::{File, State};
use portico_core::files::repo;
use portico_core::ports::blobs::BlobKey;
use portico_core::ports::store::{Item, Key};
use portico_core::ports::store_ext::encode;
use portico_core::schema::FILES;

use super::error::check_space;
use super::partial::{Partial, above};
use super::{Amount, BackupError, Damage, is_ready};
use crate::blobs::dir::inventory::{self, CopyError, Inventory, Name};
use crate::host;
use crate::store::sqlite::{self, DATABASE, DatabaseError, Listing};

/// The database's name until all else is there: a folder without a database is not restored.
const UNFINISHED: &str = "portico.db.unfinished";

/// What a backup came to.
#[derive(Debug, Default)]
pub struct Taken {
    /// The files in it.
    pub copied: Amount,
    /// Files that their owners deleted at the last moment, and which it treats so.
    pub deleted: u64,
    /// Files that are not in it, because the data directory does not have them sound.
    pub damage: Damage,
}

/// Copies a data directory's database and files into a new folder, and verifies all of it. The directory may be in use.
///
/// It blocks for as long as that takes; memory grows by 32 bytes with each file.
///
/// # Errors
/// [`BackupError`]; nothing has the backup's name then. Damage is none: what is sound is better kept than not.
pub fn take(data_dir: &Path, to: &Path) -> Result<Taken, BackupError> {
    let live = Listing::open(&data_dir.join(DATABASE))?;
    let partial = Partial::create(to)?;
    check_space(above(to), needed(&live, data_dir)?)?;
    let copying = Copying {
        source: Inventory::of(data_dir.join(host::FILES)),
        target: Inventory::of(partial.path().join(host::FILES)),
        live,
    };
    crate::files::create_private_dir(copying.target.root())
        .map_err(BackupError::io(copying.target.root()))?;
    copying.in_advance()?;
    let unfinished = partial.path().join(UNFINISHED);
    sqlite::backup(data_dir, &unfinished)?;
    let taken = copying.complete(&unfinished)?;
    let database = partial.path().join(DATABASE);
    fs::rename(&unfinished, &database).map_err(BackupError::io(database))?;
    partial.publish()?;
    Ok(taken)
}

/// How many bytes a backup will have, and some.
fn needed(live: &Listing, data_dir: &Path) -> Result<u64, BackupError> {
    let mut needed = 1024 * 1024;
    for part in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
        needed += data_dir.join(part).metadata().map_or(0, |metadata| metadata.len());
    }
    live.each(&FILES, |file: File| {
        needed += if is_ready(&file) { file.size } else { 0 };
        Ok::<_, BackupError>(())
    })?;
    Ok(needed)
}

/// Files on their way from one folder to another.
struct Copying {
    source: Inventory,
    target: Inventory,
    live: Listing,
}

impl Copying {
    /// Copies what is ready; nothing depends on it yet, so that only failing to write is an error.
    fn in_advance(&self) -> Result<(), BackupError> {
        self.live.each(&FILES, |file: File| match file.blob_key().filter(|_| is_ready(&file)) {
            Some(key) => match self.source.copy_to(&key, &self.target) {
                Ok(_) | Err(CopyError::Source(_)) => Ok(()),
                Err(CopyError::Target(error)) => Err(BackupError::io(self.target.root())(error)),
            },
            None => Ok(()),
        })
    }

    /// Makes the files those of a copy of the database, and the copy one of these files.
    fn complete(&self, copy: &Path) -> Result<Taken, BackupError> {
        let (mut taken, mut names, mut deleted) = (Taken::default(), Vec::new(), Vec::new());
        Listing::open(copy)?.each(&FILES, |file: File| {
            if !is_ready(&file) {
                return Ok(());
            }
            match self.settle(&file)? {
                Settled::There(name, bytes) => {
                    names.push(name);
                    taken.copied.add(bytes);
                }
                Settled::Deleted => deleted.push(as_deleting(file)?),
                Settled::Damaged(reason) => taken.damage.add(&file, reason),
            }
            Ok::<_, BackupError>(())
        })?;
        if !deleted.is_empty() {
            sqlite::amend(copy, &deleted)?;
            taken.deleted = deleted.len() as u64;
        }
        self.keep_only(names).map_err(BackupError::io(self.target.root()))?;
        Ok(taken)
    }

    /// Sees to a file that is ready in the copy of the database.
    fn settle(&self, file: &File) -> Result<Settled, BackupError> {
        let Some(key) = file.blob_key() else {
            return Ok(Settled::Damaged("its record names no place for its bytes".to_owned()));
        };
        let there = |bytes| Ok(Settled::There(inventory::name(&key), bytes));
        match self.target.head(&key) {
            Ok(info) if file.is_made_of(&info) => return there(info.length),
            _ => self.target.remove(&key).map_err(BackupError::io(self.target.root()))?,
        }
        match self.source.copy_to(&key, &self.target) {
            Ok(info) => there(info.length),
            Err(CopyError::Target(error)) => Err(BackupError::io(self.target.root())(error)),
            // Bytes go only after their record was marked.
            Err(CopyError::Source(_)) if !self.is_still_ready(file, &key)? => Ok(Settled::Deleted),
            Err(CopyError::Source(error)) => Ok(Settled::Damaged(error.to_string())),
        }
    }

    fn is_still_ready(&self, file: &File, key: &BlobKey) -> Result<bool, BackupError> {
        let now: Option<File> = self.live.find(&repo::key(&file.file_id))?;
        Ok(now.is_some_and(|now| is_ready(&now) && now.blob_key().as_ref() == Some(key)))
    }

    /// Removes what was copied in advance and then deleted, and brings the rest to the disk.
    fn keep_only(&self, mut names: Vec<Name>) -> std::io::Result<()> {
        names.sort_unstable();
        self.target.each(|name, entry| match names.binary_search(&name) {
            Ok(_) => Ok(()),
            Err(_) => fs::remove_file(entry.path()),
        })?;
        self.target.sync()
    }
}

/// What became of a file.
enum Settled {
    There(Name, u64),
    Deleted,
    Damaged(String),
}

/// A file as it was marked. It was uploaded a moment ago, so that the promise to sweep it is in the copy too.
fn as_deleting(file: File) -> Result<(Key, Item), DatabaseError> {
    let file = File { state: State::Deleting, ..file };
    let item = encode(&file);
    let item =
        item.map_err(|error| DatabaseError::Damaged { file: FILES.name.into(), detail: error.detail })?;
    Ok((repo::key(&file.file_id), item))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use portico_core::files::model::NewFile;
    use portico_core::http::body::Body;
    use portico_core::memory::clock::ManualClock;
    use portico_core::memory::entropy::SeededEntropy;
    use portico_core::ports::blobs::{Blobs, PutTerms};
    use portico_core::ports::store::Condition;
    use portico_core::ports::store_ext::{StoreExt, put};
    use portico_core::time::Timestamp;

    use super::*;
    use crate::blobs::dir::DirBlobs;
    use crate::store::sqlite::SqliteStore;

    /// A data directory in use, and a backup of it under way.
    struct Scene {
        folder: tempfile::TempDir,
        store: SqliteStore,
        blobs: DirBlobs,
        copying: Copying,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("data");
            let store =
                SqliteStore::open(&dir, Arc::<ManualClock>::default(), Arc::new(SeededEntropy::new(1)));
            let blobs = DirBlobs::open(dir.join(host::FILES)).unwrap();
            let copying = Copying {
                source: Inventory::of(dir.join(host::FILES)),
                target: Inventory::of(folder.path().join("target")),
                live: Listing::open(&dir.join(DATABASE)).unwrap(),
            };
            fs::create_dir(copying.target.root()).unwrap();
            Self { folder, store: store.unwrap(), blobs, copying }
        }

        async fn upload(&self, id: &str) -> File {
            let file = File::pending(id.into(), "01ADA", NewFile::default(), Timestamp::from_millis(0));
            let terms = PutTerms::up_to(9, "text/plain");
            let body = Body::from(id.as_bytes().to_vec());
            let info = self.blobs.put(&file.blob_key().unwrap(), &terms, body).await.unwrap();
            let file = File { state: State::Ready, size: info.length, ..file };
            self.store.write(put(repo::key(id), &file, Condition::Absent).unwrap()).await.unwrap();
            file
        }

        /// What a deletion does first, and then.
        async fn mark(&self, file: &File) {
            let marked = File { state: State::Deleting, ..file.clone() };
            let write = put(repo::key(&file.file_id), &marked, Condition::Present).unwrap();
            self.store.write(write).await.unwrap();
        }

        async fn remove(&self, file: &File) {
            self.blobs.delete(&file.blob_key().unwrap()).await.unwrap();
        }

        fn snapshot(&self) -> PathBuf {
            let copy = self.folder.path().join("copy.db");
            self.store.backup_to(&copy).unwrap();
            copy
        }

        fn copied(&self, file: &File) -> bool {
            self.copying.target.head(&file.blob_key().unwrap()).is_ok()
        }
    }

    #[tokio::test]
    async fn files_and_database_agree_whatever_happens_in_between() {
        let scene = Scene::new();
        let (kept, early) = (scene.upload("01KEPT").await, scene.upload("01EARLY").await);
        scene.copying.in_advance().unwrap();
        assert!(scene.copied(&kept) && scene.copied(&early));
        // Deleted between the first files and the database; come, and deleted at once, between it and the last files.
        scene.mark(&early).await;
        scene.remove(&early).await;
        let (new, late, marked) =
            (scene.upload("01NEW").await, scene.upload("01LATE").await, scene.upload("01MARKED").await);
        let copy = scene.snapshot();
        scene.mark(&late).await;
        scene.remove(&late).await;
        scene.mark(&marked).await;
        let taken = scene.copying.complete(&copy).unwrap();
        assert_eq!((taken.copied.files, taken.deleted, taken.damage.files), (3, 1, 0));
        let there = [&kept, &early, &new, &late, &marked].map(|file| scene.copied(file));
        assert_eq!(there, [true, false, true, false, true]);
        let listing = Listing::open(&copy).unwrap();
        let states = [&kept, &early, &new, &late, &marked].map(|file| {
            let file: Option<File> = listing.find(&repo::key(&file.file_id)).unwrap();
            file.unwrap().state
        });
        use State::{Deleting, Ready};
        assert_eq!(states, [Ready, Deleting, Ready, Deleting, Ready]);
    }

    #[tokio::test]
    async fn bytes_that_are_gone_under_a_ready_record_are_damage() {
        let scene = Scene::new();
        let lost = scene.upload("01LOST").await;
        scene.remove(&lost).await;
        scene.copying.in_advance().unwrap();
        let copy = scene.snapshot();
        let taken = scene.copying.complete(&copy).unwrap();
        assert_eq!((taken.copied.files, taken.deleted, taken.damage.files), (0, 0, 1));
        assert_eq!(taken.damage.named[0].file_id, "01LOST");
    }

    #[test]
    fn a_disk_without_room_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        check_space(folder.path(), 1).unwrap();
        let error = check_space(folder.path(), u64::MAX).unwrap_err();
        assert!(error.to_string().contains("MiB free, and 17592186044416 are needed: make space"), "{error}");
    }
}
