//! `portico backup` and `portico restore`.

use std::path::Path;

use super::{Failure, say};
use crate::clock::SystemClock;
use crate::env::Config;
use crate::store::sqlite;

/// Copies the database, while it is in use or not.
pub(super) fn backup(file: &Path) -> Result<(), Failure> {
    let data_dir = Config::load()?.host.data_dir;
    sqlite::backup(&data_dir, file)?;
    say(format_args!("{} written and verified; keys and .env are not in it: keep those too", file.display()));
    Ok(())
}

/// Puts a backup in place.
pub(super) fn restore(file: &Path, force: bool) -> Result<(), Failure> {
    let data_dir = Config::load()?.host.data_dir;
    sqlite::restore_from(file, &data_dir, force, &SystemClock)?;
    say(format_args!("{} restored into {}", file.display(), data_dir.display()));
    Ok(())
}
