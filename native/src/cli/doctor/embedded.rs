//! What `portico doctor` finds of the embedded store.

use std::path::Path;
use std::time::SystemTime;

use super::Finding::{self, Fine, Warning, Wrong};
use super::{Report, check_clock, check_data_dir, files};
use crate::store::sqlite::{self, DATABASE, is_gone, is_interrupted};

/// Below this the database soon cannot grow.
const LITTLE_SPACE_MIB: u64 = 512;

/// Checks the data directory and what is in it.
pub(super) fn check(report: &mut Report, data_dir: &Path) {
    report.add("data", check_data_dir(data_dir));
    report.add("space", check_space(data_dir));
    report.add("database", check_database(data_dir));
    report.add("files", files::check(data_dir));
    // A clock that went back is seen by files from the future.
    report.add("clock", check_clock(newest_file(data_dir), "the newest file in the data directory"));
}

fn check_space(path: &Path) -> Finding {
    match fs4::available_space(path).map(|bytes| bytes / (1024 * 1024)) {
        Ok(0..16) => Wrong("the disk is full: make space".to_owned()),
        Ok(free @ ..LITTLE_SPACE_MIB) => Warning(format!("{free} MiB free: make space soon")),
        Ok(free) => Fine(format!("{free} MiB free")),
        Err(error) => Warning(format!("not known: {error}")),
    }
}

/// Reads the database as it is, in use or not; opening it as the server does might change it.
fn check_database(data_dir: &Path) -> Finding {
    let file = data_dir.join(DATABASE);
    if is_interrupted(data_dir) {
        return Wrong(format!("a restore into {} was interrupted; run it again", data_dir.display()));
    }
    if !file.exists() && !is_gone(data_dir) {
        return Fine(format!("created at first start: {}", file.display()));
    }
    match sqlite::check(data_dir) {
        Ok(()) => {
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            Fine(format!("{} is sound, {} KiB", file.display(), bytes / 1024))
        }
        Err(error) => Wrong(error.to_string()),
    }
}

fn newest_file(folder: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(folder).ok()?;
    files.filter_map(|file| file.ok()?.metadata().ok()?.modified().ok()).max()
}
