//! `portico backup` and `portico restore`.

use std::path::{Path, PathBuf};

use super::{Failure, complain, say};
use crate::backup::{self, Amount, BackupError, Damage, Restored, Taken, Wish};
use crate::clock::SystemClock;
use crate::env::{Config, Storage};

/// Copies database and files, while they are in use or not; fails, but keeps the copy, if files were damaged before.
pub(super) fn backup(to: &Path) -> Result<(), Failure> {
    let data_dir = embedded()?;
    let Taken { copied, deleted, damage } = backup::take(&data_dir, to)?;
    say(format_args!("{}: the database and {} written and verified", to.display(), shown(copied)));
    if deleted > 0 {
        say(format_args!("{deleted} files were deleted by their owners meanwhile, and are deleted in it"));
    }
    say("keys and .env are not in it: keep those too");
    if damage.files == 0 {
        return Ok(());
    }
    complain_of(&damage);
    Err(Failure(format!(
        "{} of the files in {} are missing or damaged, and not in this backup, which has all the rest: keep older \
         backups, and copy these files from one, where they have the same path",
        damage.files,
        data_dir.display()
    )))
}

/// Puts a backup in place.
pub(super) fn restore(from: &Path, wish: Wish) -> Result<(), Failure> {
    let data_dir = embedded()?;
    let restored = backup::restore(from, &data_dir, wish, &SystemClock).inspect_err(|error| {
        if let BackupError::Incomplete { damage, .. } = error {
            complain_of(damage);
        }
    });
    let Restored { files, damage } = restored?;
    let (from, data_dir) = (from.display(), data_dir.display());
    match files {
        Some(files) => {
            say(format_args!("{from}: the database and {} restored into {data_dir}", shown(files)))
        }
        None => say(format_args!(
            "{from}: the database restored into {data_dir}; files are not in this backup, and those there are left as \
             they are: see `portico doctor`"
        )),
    }
    complain_of(&damage);
    Ok(())
}

/// The data directory, if that is where everything is.
fn embedded() -> Result<PathBuf, Failure> {
    let host = Config::load()?.host;
    match host.storage {
        Storage::Embedded => Ok(host.data_dir),
        Storage::Aws(storage) => Err(Failure(format!(
            "items are in DynamoDB and files in S3, which keep their own history: turn on point-in-time recovery for \
             every table and versioning for the bucket {}, and restore with those (`portico backup` and `portico \
             restore` are for STORAGE_BACKEND=embedded)",
            storage.bucket
        ))),
    }
}

/// Tells of damage, file by file, as far as it is told of one by one.
fn complain_of(damage: &Damage) {
    for damaged in &damage.named {
        complain(format_args!("{damaged}: {}", damaged.reason));
    }
    let more = damage.files - damage.named.len() as u64;
    if more > 0 {
        complain(format_args!("and {more} more files"));
    }
}

/// Files and bytes, as people read them.
pub(super) fn shown(Amount { files, bytes }: Amount) -> String {
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    format!("{files} ({})", size(bytes))
}

/// A size, as people read it.
pub(super) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.checked_ilog2().unwrap_or(0) / 10).min(4) as usize;
    if unit == 0 {
        return format!("{bytes} bytes");
    }
    // Tenths, rounded down.
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let sizes = [0, 1023, 1024, 1536, 5 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 GiB", "16777215.9 TiB"]);
        assert_eq!(shown(Amount { files: 1, bytes: 7 }), "1 file (7 bytes)");
    }
}
