//! The store kit against SQLite, and what only a database on a disk can be asked: durability, backups, the
//! data directory, older and damaged files.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::future::join_all;
use portico::store::sqlite::{DatabaseError, SqliteStore, backup, restore_from};
use portico_core::{
    conformance::store::Harness,
    memory::{clock::ManualClock, entropy::SeededEntropy},
    ports::{
        clock::Clock,
        store::{Condition, Item, Key, Query, Store, StoreErrorKind, Version, Versioned, Write},
        store_ext::StoreExt,
    },
    schema::{COUNTERS, NOTIFICATIONS, SESSIONS, USERS},
    time::Timestamp,
};
use serde_json::{Value, json};
use tempfile::TempDir;

mod kit {
    use super::*;

    async fn new() -> Harness {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::default());
        let store = open_with(dir.path(), clock.clone()).unwrap();
        Harness::new(Arc::new(store), clock).keeping(dir)
    }

    portico_core::store_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = new);
}

fn open_with(dir: &Path, clock: Arc<ManualClock>) -> Result<SqliteStore, DatabaseError> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEED: AtomicU64 = AtomicU64::new(0);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    SqliteStore::open(dir, clock, Arc::new(SeededEntropy::new(seed)))
}

fn open(dir: &Path) -> Result<SqliteStore, DatabaseError> {
    open_with(dir, Arc::default())
}

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join("portico.db")
}

fn sqlite(file: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(file).unwrap()
}

fn put(key: &Key, attributes: Value, when: Condition) -> Write {
    let mut item: Item = attributes.as_object().cloned().unwrap();
    item.insert(key.table.hash.to_owned(), json!(key.hash));
    Write::Put { key: key.clone(), item, when }
}

async fn add(store: &SqliteStore, id: &str) -> Versioned {
    let key = Key::new(&USERS, id);
    let username = format!("name of {id}");
    store.write(put(&key, json!({"username": username}), Condition::Absent)).await.unwrap();
    store.get(&key).await.unwrap().unwrap()
}

#[tokio::test]
async fn items_survive_closing_and_dropping() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let one = add(&store, "one").await;
    store.close().await.unwrap();
    assert!(!dir.path().join("portico.db-wal").exists(), "the log is in the database");
    assert_eq!(store.close().await.unwrap_err().kind, StoreErrorKind::Unavailable);
    assert_eq!(store.get(&Key::new(&USERS, "one")).await.unwrap_err().kind, StoreErrorKind::Unavailable);
    let refused = store.write(put(&Key::new(&USERS, "late"), json!({}), Condition::Always)).await;
    assert_eq!(refused.unwrap_err().kind, StoreErrorKind::Unavailable);

    let store = open(dir.path()).unwrap();
    let two = add(&store, "two").await;
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.get(&Key::new(&USERS, "one")).await.unwrap(), Some(one));
    assert_eq!(store.get(&Key::new(&USERS, "two")).await.unwrap(), Some(two));
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_files() {
    let (dir, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(dir.path()).unwrap();
    for n in 0..20 {
        add(&store, &n.to_string()).await;
    }
    // As a kill would leave them: nothing was closed.
    for name in ["portico.db", "portico.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let store = open(copy.path()).unwrap();
    for n in 0..20 {
        assert!(store.get(&Key::new(&USERS, n.to_string())).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_data_directory_has_one_owner() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DatabaseError::InUse { .. }));
    let message = error.to_string();
    assert!(message.contains(&*dir.path().to_string_lossy()) && message.contains("DATA_DIR"), "{message}");
    store.close().await.unwrap();
    open(dir.path()).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("deep/data");
    let store = open(&dir).unwrap();
    add(&store, "one").await;
    assert_eq!(mode(&dir), 0o700);
    for name in ["portico.db", "portico.db-wal", "portico.db-shm", "portico.lock"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    let copy = parent.path().join("copy.db");
    store.backup_to(&copy).unwrap();
    assert_eq!(mode(&copy), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_callers_share_commits() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(dir.path()).unwrap());
    let callers = (0..32).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for m in 0..8 {
                add(&store, &format!("{n}-{m}")).await;
            }
        })
    });
    join_all(callers).await.into_iter().for_each(|caller| caller.unwrap());
    let counts = store.writer_counts();
    assert_eq!(counts.transactions, 32 * 8);
    assert!(counts.commits < counts.transactions / 2, "{counts:?}");
}

#[tokio::test]
async fn a_conflict_is_its_callers_alone() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let taken = add(&store, "taken").await;
    let before = store.writer_counts();
    // Polled together on one thread, so that all are queued before the first is answered.
    let results = join_all((0..30).map(|n| {
        let store = &store;
        async move {
            let own = put(&Key::new(&USERS, n.to_string()), json!({}), Condition::Absent);
            let taken = put(&Key::new(&USERS, "taken"), json!({"n": n}), Condition::Absent);
            if n % 3 == 0 { store.transact(&[own, taken]).await } else { store.transact(&[own]).await }
        }
    }))
    .await;
    for (n, result) in results.iter().enumerate() {
        let stored = store.get(&Key::new(&USERS, n.to_string())).await.unwrap();
        if n % 3 == 0 {
            assert_eq!(result.as_ref().unwrap_err().conflicting_write(), Some(1));
            assert_eq!(stored, None);
        } else {
            assert!(result.is_ok() && stored.is_some());
        }
    }
    assert_eq!(store.get(&Key::new(&USERS, "taken")).await.unwrap(), Some(taken));
    assert!(store.writer_counts().commits - before.commits < 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_transfer_keep_the_sum() {
    let dir = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(dir.path()).unwrap());
    let keys = [Key::new(&COUNTERS, "one"), Key::new(&COUNTERS, "other")];
    for key in &keys {
        store.write(put(key, json!({"n": 0}), Condition::Absent)).await.unwrap();
    }
    let transfers = (0..16).map(|_| tokio::spawn(transfer(store.clone(), keys.clone())));
    join_all(transfers).await.into_iter().for_each(|transfer| transfer.unwrap());
    for (key, expected) in keys.iter().zip([-80, 80]) {
        assert_eq!(store.get(key).await.unwrap().unwrap().item["n"], expected);
    }
}

async fn transfer(store: Arc<dyn Store>, [one, other]: [Key; 2]) {
    let mut done = 0;
    while done < 5 {
        let (from, to) = (store.get(&one).await.unwrap().unwrap(), store.get(&other).await.unwrap().unwrap());
        let n = |stored: &Versioned| stored.item["n"].as_i64().unwrap();
        let writes = [
            put(&one, json!({"n": n(&from) - 1}), Condition::At(from.version)),
            put(&other, json!({"n": n(&to) + 1}), Condition::At(to.version)),
        ];
        done += i32::from(store.transact(&writes).await.is_ok());
    }
}

#[tokio::test]
async fn a_caller_may_go_away() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let key = Key::new(&USERS, "abandoned");
    let writes = [put(&key, json!({}), Condition::Absent)];
    let mut transact = store.transact(&writes);
    assert!(futures::poll!(&mut transact).is_pending());
    drop(transact);
    // Writes are applied in the order in which they were queued.
    add(&store, "other").await;
    assert!(store.get(&key).await.unwrap().is_some());
}

/// A clock that breaks when told to.
#[derive(Debug, Default)]
struct BreakingClock(std::sync::atomic::AtomicBool);

impl Clock for BreakingClock {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(std::sync::atomic::Ordering::SeqCst), "it is broken on purpose");
        ManualClock::default().now()
    }

    fn sleep(&self, _: u64) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_writing_thread_panics_nobody_waits_for_ever() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(BreakingClock::default());
    let store = SqliteStore::open(dir.path(), clock.clone(), Arc::new(SeededEntropy::new(1))).unwrap();
    add(&store, "before").await;
    clock.0.store(true, std::sync::atomic::Ordering::SeqCst);
    let writes: Vec<Write> =
        (0..20).map(|n| put(&Key::new(&USERS, format!("{n}")), json!({}), Condition::Absent)).collect();
    for outcome in join_all(writes.iter().map(|write| store.transact(std::slice::from_ref(write)))).await {
        assert_eq!(outcome.unwrap_err().kind, StoreErrorKind::Unavailable);
    }
    assert_eq!(store.close().await.unwrap_err().kind, StoreErrorKind::Unavailable);
    drop(store);
    let store = open(dir.path()).unwrap();
    assert!(store.get(&Key::new(&USERS, "before")).await.unwrap().is_some());
    assert!(store.get(&Key::new(&USERS, "0")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_purge_removes_what_expired() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let store = open_with(dir.path(), clock.clone()).unwrap();
    let now = 1_771_581_600;
    for n in 0..1300 {
        let expires = if n % 10 == 0 { now + 100 } else { now + 10 };
        let key = Key::new([&SESSIONS, &NOTIFICATIONS][n % 2], n.to_string());
        store.write(put(&key, json!({"purge_at": expires}), Condition::Absent)).await.unwrap();
    }
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    clock.advance(10);
    assert_eq!(store.purge_expired().await.unwrap(), 1170);
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    let rows = |table| sqlite(&database(&dir)).query_row(table, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows("SELECT count(*) FROM sessions"), 130);
    assert_eq!(rows("SELECT count(*) FROM notifications"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_writing_is_consistent_and_restores() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Arc::new(open(dir.path()).unwrap());
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..200 {
                let pair = ["a", "b"]
                    .map(|half| put(&Key::new(&COUNTERS, half), json!({"n": n}), Condition::Always));
                store.transact(&pair).await.unwrap();
            }
        }
    });
    add(&store, "before").await;
    let copy = other.path().join("copy.db");
    let backed_up = tokio::task::spawn_blocking({
        let (store, copy) = (store.clone(), copy.clone());
        move || store.backup_to(&copy)
    });
    backed_up.await.unwrap().unwrap();
    writing.await.unwrap();
    assert!(matches!(store.backup_to(&copy), Err(DatabaseError::Exists { .. })), "a backup replaces nothing");

    let clock = ManualClock::default();
    let restored = other.path().join("restored");
    restore_from(&copy, &restored, false, &clock).unwrap();
    let store = open(&restored).unwrap();
    assert!(store.get(&Key::new(&USERS, "before")).await.unwrap().is_some());
    let named = Query::index(&USERS, "username-index", "name of before");
    assert_eq!(store.query(&named).await.unwrap().items.len(), 1);
    let store = &store;
    let halves = join_all(["a", "b"].map(|half| async move {
        store.get(&Key::new(&COUNTERS, half)).await.unwrap().map(|stored| stored.item["n"].clone())
    }))
    .await;
    assert_eq!(halves[0], halves[1], "a transaction is in a backup wholly or not at all");
}

#[tokio::test]
async fn a_restore_replaces_only_when_told_and_keeps_the_old() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = ManualClock::default();
    let store = open(dir.path()).unwrap();
    add(&store, "old").await;
    let copy = other.path().join("copy.db");
    store.backup_to(&copy).unwrap();
    let new = add(&store, "new").await;
    let in_use = restore_from(&copy, dir.path(), true, &clock);
    assert!(matches!(in_use, Err(DatabaseError::InUse { .. })));
    // As a kill would leave it: the latest is in the log only.
    let log = fs::read(dir.path().join("portico.db-wal")).unwrap();
    let file = fs::read(database(&dir)).unwrap();
    store.close().await.unwrap();
    fs::write(database(&dir), file).unwrap();
    fs::write(dir.path().join("portico.db-wal"), log).unwrap();

    let exists = restore_from(&copy, dir.path(), false, &clock);
    assert!(matches!(exists, Err(DatabaseError::Exists { .. })));
    restore_from(&copy, dir.path(), true, &clock).unwrap();
    let store = open(dir.path()).unwrap();
    assert!(store.get(&Key::new(&USERS, "old")).await.unwrap().is_some());
    assert_eq!(store.get(&Key::new(&USERS, "new")).await.unwrap(), None);

    let aside = "portico.db.replaced-2026-02-20T10-00-00-000Z";
    let kept = TempDir::new().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("portico.db{suffix}");
        fs::rename(dir.path().join(format!("{aside}{suffix}")), kept.path().join(name)).unwrap();
    }
    let store = open(kept.path()).unwrap();
    assert_eq!(store.get(&Key::new(&USERS, "new")).await.unwrap(), Some(new));
}

#[tokio::test]
async fn an_interrupted_restore_is_not_taken_for_an_empty_database() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("portico.db.restoring"), "half").unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DatabaseError::Interrupted { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(dir.path()).unwrap();
    for n in 0..100 {
        add(&store, &n.to_string()).await;
    }
    let file = other.path().join("file.db");
    store.backup_to(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let mut holed = whole.clone();
    let middle = holed.len() / 2;
    holed[middle..middle + 4096].fill(0xa5);
    let target = other.path().join("target");
    for wrong in [&b""[..], b"no database", &whole[..whole.len() / 2], &holed] {
        fs::write(&file, wrong).unwrap();
        let error = restore_from(&file, &target, false, &ManualClock::default()).unwrap_err();
        assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
        assert!(!target.exists());
    }
    fs::remove_file(&file).unwrap();
    sqlite(&file).execute_batch("CREATE TABLE notes (text)").unwrap();
    let error = restore_from(&file, &target, false, &ManualClock::default()).unwrap_err();
    assert!(error.to_string().contains("another application"), "{error}");
    let missing = restore_from(&other.path().join("none"), &target, false, &ManualClock::default());
    assert!(matches!(missing, Err(DatabaseError::Io { .. })));
    let empty = backup(other.path(), &other.path().join("of nothing"));
    assert!(matches!(empty, Err(DatabaseError::Io { .. })));
    assert!(!other.path().join("of nothing").exists());
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().close().await.unwrap();
    sqlite(&database(&dir)).execute_batch("PRAGMA user_version = 999").unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 999, .. }), "{error}");
    assert!(error.to_string().contains("newer Portico"));
    let version =
        sqlite(&database(&dir)).pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(version.unwrap(), 999);
}

#[tokio::test]
async fn an_older_database_gets_what_it_lacks() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let one = add(&store, "one").await;
    store.close().await.unwrap();
    sqlite(&database(&dir))
        .execute_batch(
            "DROP INDEX \"users/username-index\"; ALTER TABLE users DROP COLUMN username; DROP TABLE outbox;
             PRAGMA user_version = 0",
        )
        .unwrap();
    let store = open(dir.path()).unwrap();
    let named = Query::index(&USERS, "username-index", "name of one");
    assert_eq!(store.query(&named).await.unwrap().items, [one]);
    let outbox = Key::new(&portico_core::schema::OUTBOX, "m");
    store.write(put(&outbox, json!({}), Condition::Absent)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_reported() {
    let dir = TempDir::new().unwrap();
    fs::write(database(&dir), "no database, but longer than the hundred bytes of SQLite's header ".repeat(9))
        .unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
    fs::remove_file(database(&dir)).unwrap();

    let store = open(dir.path()).unwrap();
    for n in 0..300 {
        add(&store, &n.to_string()).await;
    }
    store.close().await.unwrap();
    let mut bytes = fs::read(database(&dir)).unwrap();
    let schema = 4096 * 12;
    bytes[schema..].fill(0xa5);
    fs::write(database(&dir), bytes).unwrap();
    match open(dir.path()) {
        Err(error) => assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}"),
        Ok(store) => {
            let mut kinds = Vec::new();
            for n in 0..300 {
                let key = Key::new(&USERS, n.to_string());
                kinds.extend(store.get(&key).await.map_err(|error| error.kind).err());
                kinds.extend(
                    store
                        .write(put(&key, json!({}), Condition::At(Version(1))))
                        .await
                        .map_err(|e| e.kind)
                        .err(),
                );
            }
            assert!(kinds.contains(&StoreErrorKind::Corrupt), "{kinds:?}");
        }
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_one_is_reported() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file).unwrap_err();
    assert!(matches!(error, DatabaseError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file"));
}
