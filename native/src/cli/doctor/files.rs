//! What `portico doctor` finds of uploaded files: ready records without their bytes, and bytes without a record.
//!
//! It reads each file's record and length, not its bytes: those are read by every backup.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use portico_core::files::model::File;
use portico_core::files::repo;
use portico_core::schema::FILES;

use super::Finding::{self, Fine, Warning, Wrong};
use crate::backup::{Amount, BackupError, Damage, RESTORING, is_ready};
use crate::blobs::dir::inventory::{self, Inventory, Name};
use crate::cli::backup::{shown, size};
use crate::host;
use crate::store::sqlite::{DATABASE, DatabaseError, Listing};

/// After how long bytes without a record are none that are on their way: what never was completed is swept by then.
const ON_THEIR_WAY: Duration = Duration::from_secs(48 * 60 * 60);

/// What was found.
#[derive(Debug, Default)]
struct Found {
    sound: Amount,
    missing: Damage,
    damaged: Damage,
    /// Bytes that are not those that their files were completed with.
    foreign: Damage,
    orphans: Amount,
    /// One of them.
    orphan: PathBuf,
}

/// Checks the files of a data directory, in use or not, and changes nothing.
pub(super) fn check(data_dir: &Path) -> Finding {
    if !data_dir.join(DATABASE).exists() {
        return Fine("none yet".to_owned());
    }
    // What is wrong with the database as a whole is told in its own line.
    let listing = match Listing::open(&data_dir.join(DATABASE)) {
        Ok(listing) => listing,
        Err(error) => return Warning(format!("not checked: {error}")),
    };
    let blobs = Inventory::of(data_dir.join(host::FILES));
    match look(&listing, &blobs) {
        Ok(found) => found.finding(data_dir),
        Err(error) => Wrong(format!("{} cannot be checked: {error}", blobs.root().display())),
    }
}

fn look(listing: &Listing, blobs: &Inventory) -> Result<Found, BackupError> {
    let (mut found, mut names) = (Found::default(), Vec::new());
    listing.each(&FILES, |file: File| {
        names.extend(file.blob_key().map(|key| inventory::name(&key)));
        if is_ready(&file) { found.add(listing, blobs, &file) } else { Ok(()) }
    })?;
    names.sort_unstable();
    found
        .add_orphans(blobs, &names)
        .map_err(|source| BackupError::Io { path: blobs.root().to_owned(), source })?;
    Ok(found)
}

impl Found {
    fn add(&mut self, listing: &Listing, blobs: &Inventory, file: &File) -> Result<(), DatabaseError> {
        let head = match file.blob_key() {
            Some(key) => blobs.head(&key),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match head {
            Ok(info) if file.is_made_of(&info) => self.sound.add(info.length),
            // Bytes go only after their record was marked: it may have been since it was read.
            _ if !is_still_ready(listing, file)? => {}
            Ok(_) => self.foreign.add(file, ""),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing.add(file, ""),
            Err(error) => self.damaged.add(file, error),
        }
        Ok(())
    }

    fn add_orphans(&mut self, blobs: &Inventory, names: &[Name]) -> io::Result<()> {
        let now = SystemTime::now();
        blobs.each(|name, entry| {
            if names.binary_search(&name).is_ok() {
                return Ok(());
            }
            // One that went meanwhile is none.
            let Ok(metadata) = entry.metadata() else { return Ok(()) };
            if now.duration_since(metadata.modified()?).is_ok_and(|age| age > ON_THEIR_WAY) {
                self.orphans.add(metadata.len());
                self.orphan = entry.path();
            }
            Ok(())
        })
    }

    fn finding(self, data_dir: &Path) -> Finding {
        let mut text = vec![shown(self.sound)];
        for (damage, what) in [
            (&self.missing, "are missing, copy them from a backup, where they have the same path"),
            (&self.damaged, "are damaged, copy them from a backup, where they have the same path"),
            (
                &self.foreign,
                "were uploaded again after they were completed, and are not served, have them uploaded anew",
            ),
        ] {
            if damage.files > 0 {
                text.push(format!("{} {what}: {}", damage.files, first(damage)));
            }
        }
        if self.orphans.files > 0 {
            let (Amount { files, bytes }, path) = (self.orphans, self.orphan.display());
            text.push(format!(
                "{files} ({}) have no record, such as {path}, and only take space",
                size(bytes)
            ));
        }
        if data_dir.join(RESTORING).exists() {
            let path = data_dir.join(RESTORING);
            text.push(format!(
                "{} is left of a restore that did not end: run it again, or delete this",
                path.display()
            ));
        }
        let lines = text.len();
        let text = text.join("; ");
        match self.missing.files + self.damaged.files {
            0 if lines == 1 => Fine(text),
            0 => Warning(text),
            _ => Wrong(text),
        }
    }
}

fn is_still_ready(listing: &Listing, file: &File) -> Result<bool, DatabaseError> {
    let now: Option<File> = listing.find(&repo::key(&file.file_id))?;
    Ok(now.is_some_and(|now| is_ready(&now)))
}

/// The first of them, and that there are more.
fn first(damage: &Damage) -> String {
    let mut first: Vec<String> = damage.named.iter().take(3).map(ToString::to_string).collect();
    if damage.files > first.len() as u64 {
        first.push("…".to_owned());
    }
    first.join(", ")
}
