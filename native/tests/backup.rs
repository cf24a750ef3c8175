//! Backups of database and files: whole, verified, and put back, whatever is damaged or killed on the way.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use portico::backup::{Amount, BackupError, Wish, restore, take};
use portico::blobs::dir::{DirBlobs, inventory};
use portico::store::sqlite::{self, DatabaseError, SqliteStore};
use portico_core::files::model::{File, NewFile, State};
use portico_core::files::repo;
use portico_core::http::body::Body;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::ports::blobs::{Blobs, PutTerms};
use portico_core::ports::store::Condition;
use portico_core::ports::store_ext::{self, StoreExt};
use portico_core::time::Timestamp;
use tempfile::TempDir;

/// A data directory in use, in a folder of its own.
struct Data {
    dir: PathBuf,
    store: SqliteStore,
    blobs: DirBlobs,
}

impl Data {
    fn open(dir: PathBuf) -> Self {
        let store =
            SqliteStore::open(&dir, Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let blobs = DirBlobs::open(dir.join("files")).unwrap();
        Self { store: store.unwrap(), dir, blobs }
    }

    /// One with so many files.
    async fn with(dir: PathBuf, files: usize) -> (Self, Vec<File>) {
        let data = Self::open(dir);
        let mut added = Vec::new();
        for n in 0..files {
            added.push(data.add(n, State::Ready).await);
        }
        (data, added)
    }

    async fn put(&self, file: &File, bytes: Vec<u8>) -> File {
        let length = Some(bytes.len() as u64);
        let terms = PutTerms { length, ..PutTerms::up_to(1 << 30, "text/plain") };
        let info = self.blobs.put(&file.blob_key().unwrap(), &terms, Body::from(bytes)).await.unwrap();
        let hash = base16ct::lower::encode_string(&info.sha256.unwrap());
        File { size: info.length, hash, ..file.clone() }
    }

    async fn add(&self, n: usize, state: State) -> File {
        let new = NewFile { name: format!("{n}.txt"), ..NewFile::default() };
        let file = File::pending(format!("01FILE{n:04}"), "01ADA", new, Timestamp::from_millis(0));
        let file = File { state, ..self.put(&file, bytes(n)).await };
        let key = repo::key(&file.file_id);
        self.store.write(store_ext::put(key, &file, Condition::Absent).unwrap()).await.unwrap();
        file
    }

    async fn read(&self, file: &File) -> Option<Bytes> {
        let blob = self.blobs.get(&file.blob_key()?, None).await.unwrap()?;
        Some(blob.body.read(usize::MAX, None).await.unwrap())
    }

    /// Whether it has exactly these files, with their bytes.
    async fn has(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut count = 0;
        for n in numbers {
            let file: File =
                self.store.find(&repo::key(&format!("01FILE{n:04}"))).await.unwrap().unwrap().value;
            assert_eq!(self.read(&file).await.as_deref(), Some(&*bytes(n)), "{n}");
            count += 1;
        }
        assert_eq!(blobs(&self.dir).len(), count);
    }

    async fn close(self) {
        self.store.close().await.unwrap();
    }
}

/// The bytes of a file: of any length, from none.
fn bytes(n: usize) -> Vec<u8> {
    n.to_le_bytes().repeat(n * 37)
}

/// Every file below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let nested = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        nested.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

fn blobs(dir: &Path) -> Vec<PathBuf> {
    below(&dir.join("files"))
}

/// Where a file's bytes are in a data directory, or in a backup.
fn place(dir: &Path, file: &File) -> PathBuf {
    dir.join("files").join(inventory::path(&file.blob_key().unwrap()))
}

/// Flips a bit in the middle of a file's bytes.
fn rot(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[10] ^= 1;
    fs::write(path, content).unwrap();
}

fn put_back(from: &Path, dir: &Path, wish: Wish) -> Result<Option<Amount>, BackupError> {
    restore(from, dir, wish, &ManualClock::default()).map(|restored| restored.files)
}

const FORCE: Wish = Wish { force: true, incomplete: false };
const INCOMPLETE: Wish = Wish { force: false, incomplete: true };

fn portico(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = portico(folder, arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// The line of `doctor` about files, and whether all was well.
fn doctor(folder: &Path) -> (bool, String) {
    let (well, text) = run(folder, &["doctor"]);
    let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some("files"));
    (well, line.unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_files_are_backed_up_and_restored_quickly() {
    let folder = TempDir::new().unwrap();
    let (data, files) = Data::with(folder.path().join("data"), 200).await;
    data.add(200, State::Pending).await;
    data.add(201, State::Deleting).await;
    let begun = Instant::now();
    let backup = folder.path().join("backup");
    let taken = take(&data.dir, &backup).unwrap();
    let bytes = files.iter().map(|file| file.size).sum();
    assert_eq!(taken.copied, Amount { files: 200, bytes });
    assert_eq!((taken.deleted, taken.damage.files), (0, 0));
    assert_eq!(blobs(&backup).len(), 200, "what is not ready is not in it");

    let restored = folder.path().join("restored");
    let amount = put_back(&backup, &restored, Wish::default()).unwrap();
    assert_eq!(amount, Some(taken.copied));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    Data::open(restored).has(0..200).await;
    assert!(!folder.path().join("backup.partial").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 3).await;
    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored"));
    take(&data.dir, &backup).unwrap();
    put_back(&backup, &restored, Wish::default()).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for root in [&backup, &restored] {
        assert_eq!(mode(root), 0o700);
        for file in below(root) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn a_backup_replaces_nothing() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 2).await;
    let (full, empty) = (folder.path().join("full"), folder.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    fs::write(&full, "mine").unwrap();
    for taken in [full.clone(), empty.clone(), folder.path().join("empty/"), data.dir.clone()] {
        let error = take(&data.dir, &taken).unwrap_err();
        assert!(matches!(error, BackupError::Database(DatabaseError::Exists { .. })), "{error}");
    }
    assert_eq!((fs::read(&full).unwrap(), below(&empty)), (b"mine".to_vec(), vec![]));
    // A disk that is not mounted is no reason to fill the one below it.
    let unmounted = folder.path().join("mnt/backup");
    let error = take(&data.dir, &unmounted).unwrap_err();
    assert!(matches!(error, BackupError::Io { .. }) && !folder.path().join("mnt").exists(), "{error}");
    take(&data.dir, &folder.path().join("backup/")).unwrap();
    assert_eq!(blobs(&folder.path().join("backup")).len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn two_backups_to_one_name_do_not_meet() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 1).await;
    let (backup, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("portico.db.unfinished"), "theirs").unwrap();
    let theirs = fs::File::open(&partial).unwrap();
    theirs.lock().unwrap();
    let error = take(&data.dir, &backup).unwrap_err();
    assert!(matches!(error, BackupError::UnderWay { .. }), "{error}");
    assert_eq!(below(&partial).len(), 1);
    drop(theirs);
    take(&data.dir, &backup).unwrap();
    assert!(!partial.exists(), "what a kill left behind is gone");
}

#[tokio::test]
async fn damage_is_told_of_and_the_rest_is_kept() {
    let folder = TempDir::new().unwrap();
    let (data, files) = Data::with(folder.path().join("data"), 9).await;
    let good = folder.path().join("good");
    take(&data.dir, &good).unwrap();
    assert_eq!(doctor(folder.path()), (true, format!("ok       files          9 files ({})", "10.4 KiB")));

    let path = |n: usize| place(&data.dir, &files[n]);
    fs::remove_file(path(2)).unwrap();
    rot(&path(5));
    let cut = fs::read(path(7)).unwrap();
    fs::write(path(7), &cut[..cut.len() - 1]).unwrap();
    data.close().await;
    let (well, text) = run(folder.path(), &["backup", "backup"]);
    assert!(!well && text.contains("backup: the database and 6 files"), "{text}");
    assert!(text.contains("3 of the files in ./data are missing or damaged"), "{text}");
    for (n, reason) in [(2, "No such file"), (5, "its bytes are not those"), (7, "damaged")] {
        let place = inventory::path(&files[n].blob_key().unwrap());
        let told = |line: &str| line.contains(&place.display().to_string()) && line.contains(reason);
        assert!(text.lines().any(told), "{n}: {text}");
    }
    // It looks at records and lengths only.
    let (well, line) = doctor(folder.path());
    assert!(!well && line.starts_with("PROBLEM "), "{line}");
    assert!(
        line.contains("7 files (") && line.contains("1 are missing") && line.contains("1 are damaged"),
        "{line}"
    );
    assert!(line.contains("01FILE0002") && line.contains("01FILE0007"), "{line}");

    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored"));
    let error = put_back(&backup, &restored, Wish::default()).unwrap_err();
    assert!(matches!(error, BackupError::Incomplete { ref damage, .. } if damage.files == 3), "{error}");
    Data::open(restored.clone()).close().await;
    assert_eq!(blobs(&restored), Vec::<PathBuf>::new());
    fs::remove_dir_all(&restored).unwrap();
    let amount = put_back(&backup, &restored, INCOMPLETE).unwrap();
    assert_eq!(amount.unwrap().files, 6);
    // The way that is told of: from an older backup, to the same path.
    for n in [2, 5, 7] {
        fs::copy(place(&good, &files[n]), place(&restored, &files[n]))
            .or_else(|_| {
                fs::create_dir_all(place(&restored, &files[n]).parent().unwrap())?;
                fs::copy(place(&good, &files[n]), place(&restored, &files[n]))
            })
            .unwrap();
    }
    Data::open(restored).has(0..9).await;
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_what_was_there_is_kept() {
    let folder = TempDir::new().unwrap();
    let (data, files) = Data::with(folder.path().join("data"), 4).await;
    let (backup, dir) = (folder.path().join("backup"), data.dir.clone());
    take(&dir, &backup).unwrap();
    data.add(4, State::Ready).await;
    let in_use = put_back(&backup, &dir, FORCE).unwrap_err();
    assert!(matches!(in_use, BackupError::Database(DatabaseError::InUse { .. })), "{in_use}");
    data.close().await;
    let before = below(&dir);
    rot(&place(&backup, &files[3]));
    let (well, text) = run(folder.path(), &["restore", "backup", "--force"]);
    assert!(!well && text.contains("01FILE0003") && text.contains("--incomplete"), "{text}");
    let (well, text) = run(folder.path(), &["restore", "nothing", "--force"]);
    assert!(!well && text.contains("nothing: No such file"), "{text}");
    fs::create_dir(folder.path().join("no backup")).unwrap();
    let (well, text) = run(folder.path(), &["restore", "no backup", "--force"]);
    assert!(!well && text.contains("portico.db: No such file"), "{text}");
    assert_eq!(below(&dir), before);
    Data::open(dir).has(0..5).await;
}

#[tokio::test]
async fn a_restore_replaces_only_when_told_and_keeps_the_old() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 3).await;
    let (backup, dir) = (folder.path().join("backup"), data.dir.clone());
    take(&dir, &backup).unwrap();
    data.add(3, State::Ready).await;
    data.close().await;
    let exists = put_back(&backup, &dir, Wish::default()).unwrap_err();
    assert!(matches!(exists, BackupError::Database(DatabaseError::Exists { .. })), "{exists}");
    // Files alone are worth as much.
    let alone = folder.path().join("alone");
    fs::create_dir(&alone).unwrap();
    fs::rename(dir.join("files"), alone.join("files")).unwrap();
    let exists = put_back(&backup, &alone, Wish::default()).unwrap_err();
    assert!(matches!(exists, BackupError::Database(DatabaseError::Exists { .. })), "{exists}");
    assert_eq!(blobs(&alone).len(), 4);
    fs::rename(alone.join("files"), dir.join("files")).unwrap();

    put_back(&backup, &dir, FORCE).unwrap();
    let aside =
        ["portico.db", "files"].map(|name| dir.join(format!("{name}.replaced-2026-02-20T10-00-00-000Z")));
    Data::open(dir.clone()).has(0..3).await;
    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::rename(&aside[0], old.join("portico.db")).unwrap();
    fs::rename(&aside[1], old.join("files")).unwrap();
    Data::open(old).has(0..4).await;
    assert!(!dir.join("files.restoring").exists() && !dir.join("portico.db.restoring").exists());
}

#[tokio::test]
async fn an_older_backup_of_the_database_alone_leaves_files_be() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 3).await;
    let older = folder.path().join("older.db");
    sqlite::backup(&data.dir, &older).unwrap();
    let (later, dir) = (data.add(3, State::Ready).await, data.dir.clone());
    data.close().await;
    let (well, text) = run(folder.path(), &["restore", "older.db", "--force"]);
    assert!(well && text.contains("files are not in this backup"), "{text}");
    let data = Data::open(dir.clone());
    assert_eq!(data.store.find::<File>(&repo::key(&later.file_id)).await.unwrap(), None);
    assert_eq!(blobs(&dir).len(), 4);
    data.close().await;
    // Bytes without a record are told of once they cannot be on their way any more.
    assert!(doctor(folder.path()).1.starts_with("ok "));
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    fs::File::options().write(true).open(place(&dir, &later)).unwrap().set_modified(long_ago).unwrap();
    let (well, line) = doctor(folder.path());
    assert!(well && line.starts_with("warning ") && line.contains("1 (1.0 KiB) have no record"), "{line}");
}

#[tokio::test]
async fn bytes_that_came_a_second_time_are_no_damage() {
    let folder = TempDir::new().unwrap();
    let (data, files) = Data::with(folder.path().join("data"), 3).await;
    data.put(&files[2], b"other bytes".repeat(100)).await;
    let backup = folder.path().join("backup");
    let taken = take(&data.dir, &backup).unwrap();
    assert_eq!((taken.copied.files, taken.damage.files), (3, 0));
    let (well, line) = doctor(folder.path());
    assert!(well && line.starts_with("warning ") && line.contains("1 were uploaded again"), "{line}");
}

#[tokio::test]
async fn doctor_changes_nothing_while_the_server_runs() {
    let folder = TempDir::new().unwrap();
    let (data, files) = Data::with(folder.path().join("data"), 3).await;
    fs::remove_file(place(&data.dir, &files[1])).unwrap();
    fs::write(data.dir.join("files/tmp/half"), "an upload").unwrap();
    let state = || {
        let shared = |path: &PathBuf| !path.to_string_lossy().ends_with("-shm");
        let files = below(&data.dir).into_iter().filter(shared);
        files
            .map(|path| (path.metadata().unwrap().modified().unwrap(), fs::read(&path).unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = state();
    assert!(doctor(folder.path()).1.starts_with("PROBLEM "));
    assert!(state() == before, "something changed");
}

#[tokio::test]
async fn a_killed_backup_does_not_look_whole() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 150).await;
    data.close().await;
    let (backup, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    let mut kills = 0;
    for reached in [0, 1, 40, 90, 149] {
        let mut child = portico(folder.path(), &["backup", "backup"]).stdout(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && !(partial.exists() && blobs(&partial).len() >= reached) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if backup.exists() {
            // It was quicker.
            put_back(&backup, &folder.path().join(format!("whole-{reached}")), Wish::default()).unwrap();
            fs::remove_dir_all(&backup).unwrap();
            continue;
        }
        kills += 1;
        let (well, text) = run(folder.path(), &["restore", "backup.partial", "--force"]);
        assert!(!well && text.contains("portico.db: No such file"), "{text}");
    }
    assert!(kills >= 3, "only {kills} backups were killed in the middle");
    let (well, text) = run(folder.path(), &["backup", "backup"]);
    assert!(well && !partial.exists(), "{text}");
    put_back(&backup, &folder.path().join("restored"), Wish::default()).unwrap();
    Data::open(folder.path().join("restored")).has(0..150).await;
}

#[tokio::test]
async fn a_killed_restore_is_finished_by_a_second() {
    let folder = TempDir::new().unwrap();
    let (data, _) = Data::with(folder.path().join("data"), 60).await;
    let (backup, dir) = (folder.path().join("backup"), data.dir.clone());
    take(&dir, &backup).unwrap();
    data.add(60, State::Ready).await;
    data.close().await;
    for reached in [0, 1, 30, 59] {
        let mut child =
            portico(folder.path(), &["restore", "backup", "--force"]).stdout(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && below(&dir.join("files.restoring")).len() < reached {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (well, text) = run(folder.path(), &["restore", "backup", "--force"]);
    assert!(well, "{text}");
    Data::open(dir).has(0..60).await;
}

/// After each of the last steps of a restore.
#[tokio::test]
async fn a_restore_that_stopped_between_its_last_steps_goes_on() {
    for steps in 1..=3 {
        let folder = TempDir::new().unwrap();
        let (data, _) = Data::with(folder.path().join("data"), 3).await;
        let (backup, dir) = (folder.path().join("backup"), data.dir.clone());
        take(&dir, &backup).unwrap();
        data.add(3, State::Ready).await;
        data.close().await;
        fs::copy(backup.join("portico.db"), dir.join("portico.db.restoring")).unwrap();
        fs::rename(dir.join("portico.db"), dir.join("portico.db.replaced-x")).unwrap();
        if steps > 1 {
            fs::rename(dir.join("files"), dir.join("files.replaced-x")).unwrap();
        }
        if steps > 2 {
            let status =
                Command::new("cp").arg("-r").args([backup.join("files"), dir.join("files")]).status();
            assert!(status.unwrap().success());
        }
        let (well, text) = run(folder.path(), &["serve"]);
        assert!(!well && text.contains("interrupted; run it again"), "{text}");
        let (well, text) = run(folder.path(), &["doctor"]);
        assert!(!well && text.contains("interrupted; run it again"), "{text}");
        // A backup that cannot be restored does not make it look like a new directory.
        let hidden = folder.path().join("hidden");
        fs::rename(backup.join("files"), &hidden).unwrap();
        put_back(&backup, &dir, FORCE).unwrap_err();
        assert!(!run(folder.path(), &["serve"]).0);
        fs::rename(&hidden, backup.join("files")).unwrap();
        let (well, text) = run(folder.path(), &["restore", "backup"]);
        assert!(well, "{steps}: {text}");
        Data::open(dir.clone()).has(0..3).await;
        // The old files are set aside, whenever that was; the new ones were complete, and nothing of them is needed.
        let kept = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let mut kept = kept.filter(|path| path.to_string_lossy().contains("/files.replaced-"));
        assert!(kept.any(|path| below(&path).len() == 4), "{steps}");
    }
}
