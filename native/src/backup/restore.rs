//! Putting a backup in place.
//!
//! First everything is copied beside what is there, verified and brought to the disk; then the old database is set
//! aside, the old files are, the new files get their name, and last the new database. Until the database is set aside
//! nothing has changed; from then until the new one has its name no server starts, and a second restore begins again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use portico_core::files::model::File;
use portico_core::ports::clock::Clock;
use portico_core::schema::FILES;

use super::error::check_space;
use super::partial::with_suffix;
use super::{Amount, BackupError, Damage, is_ready};
use crate::blobs::dir::inventory::{CopyError, Inventory};
use crate::files::{create_private_dir, sync_dir};
use crate::host;
use crate::store::sqlite::{DATABASE, DatabaseError, Listing, Restoration, replaced_at, restore_from};

/// The name under which a restore prepares the files.
pub(crate) const RESTORING: &str = "files.restoring";

/// How far a restore may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Whether a database or files that are there may be replaced.
    pub force: bool,
    /// Whether files may be missing.
    pub incomplete: bool,
}

/// What a restore came to.
#[derive(Debug, Default)]
pub struct Restored {
    /// The files put in place; none are known of a backup of the database alone.
    pub files: Option<Amount>,
    /// Files that the backup does not have, or not sound.
    pub damage: Damage,
}

/// Puts a backup in place of a data directory's database and files. What is there is kept beside it, under names with
/// the time (`portico.db.replaced-…`, `files.replaced-…`). A backup of the database alone, one file, leaves files be.
///
/// # Errors
/// [`BackupError`]; nothing is changed then, unless the disk fails between the last steps: they are safe to repeat.
pub fn restore(from: &Path, data_dir: &Path, wish: Wish, clock: &dyn Clock) -> Result<Restored, BackupError> {
    if !from.is_dir() {
        restore_from(from, data_dir, wish.force, clock)?;
        return Ok(Restored::default());
    }
    let restoration = Restoration::begin(&from.join(DATABASE), data_dir)?;
    let files = Files {
        from: Inventory::of(from.join(host::FILES)),
        place: data_dir.join(host::FILES),
        restoring: Inventory::of(data_dir.join(RESTORING)),
    };
    if !wish.force && !restoration.is_resumed() {
        restoration.refuse_existing()?;
        files.refuse_existing()?;
    }
    let restored = match prepare(from, data_dir, wish, &restoration, &files) {
        Ok(restored) => restored,
        Err(error) => {
            files.give_up();
            restoration.give_up();
            return Err(error);
        }
    };
    let suffix = replaced_at(clock);
    restoration.set_aside(&suffix)?;
    files.replace(&suffix).map_err(BackupError::io(&files.place))?;
    restoration.finish()?;
    Ok(restored)
}

/// Copies everything beside what is there.
fn prepare(
    from: &Path,
    data_dir: &Path,
    wish: Wish,
    restoration: &Restoration,
    files: &Files,
) -> Result<Restored, BackupError> {
    files.clear().map_err(BackupError::io(files.restoring.root()))?;
    check_space(data_dir, needed(from)?)?;
    // Before the files: an empty directory is then known as one that is being restored.
    restoration.prepare()?;
    let (amount, damage) = files.copy(&Listing::open(restoration.prepared())?)?;
    if damage.files > 0 && !wish.incomplete {
        return Err(BackupError::Incomplete { path: from.to_owned(), damage });
    }
    Ok(Restored { files: Some(amount), damage })
}

/// How many bytes a backup has, and some.
fn needed(from: &Path) -> Result<u64, BackupError> {
    let database = from.join(DATABASE);
    let length = database.metadata().map_err(BackupError::io(&database))?.len();
    let (mut needed, listing) = (length + 1024 * 1024, Listing::open(&database)?);
    listing.each(&FILES, |file: File| {
        needed += if is_ready(&file) { file.size } else { 0 };
        Ok::<_, BackupError>(())
    })?;
    Ok(needed)
}

/// Files on their way into place.
struct Files {
    from: Inventory,
    restoring: Inventory,
    place: PathBuf,
}

impl Files {
    fn refuse_existing(&self) -> Result<(), BackupError> {
        if Inventory::of(self.place.clone()).is_empty().map_err(BackupError::io(&self.place))? {
            return Ok(());
        }
        Err(DatabaseError::Exists { path: self.place.clone() }.into())
    }

    /// Removes what an earlier restore prepared.
    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.restoring.root()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn give_up(&self) {
        // What cannot be removed is in nobody's way, and the next restore tries again.
        drop(self.clear());
    }

    /// Copies the files of the database, and verifies them.
    fn copy(&self, listing: &Listing) -> Result<(Amount, Damage), BackupError> {
        let (root, mut amount, mut damage) = (self.restoring.root(), Amount::default(), Damage::default());
        create_private_dir(root).map_err(BackupError::io(root))?;
        listing.each(&FILES, |file: File| {
            if !is_ready(&file) {
                return Ok(());
            }
            match file.blob_key().map(|key| self.from.copy_to(&key, &self.restoring)) {
                Some(Ok(info)) => amount.add(info.length),
                Some(Err(CopyError::Target(error))) => return Err(BackupError::io(root)(error)),
                Some(Err(CopyError::Source(error))) => damage.add(&file, error),
                None => damage.add(&file, "its record names no place for its bytes"),
            }
            Ok(())
        })?;
        self.restoring.sync().map_err(BackupError::io(root))?;
        Ok((amount, damage))
    }

    /// Sets the old files aside, and gives the new ones their name.
    fn replace(&self, suffix: &str) -> io::Result<()> {
        if self.place.exists() {
            fs::rename(&self.place, with_suffix(&self.place, suffix))?;
        }
        fs::rename(self.restoring.root(), &self.place)?;
        sync_dir(self.place.parent().unwrap_or(&self.place))
    }
}
