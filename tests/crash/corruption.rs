//! Damaged files: whatever byte of the database or of its log is another, a read gives the right value or an error, never
//! a wrong value; and what a damaged tree no longer leads to is found by `portico doctor`.

use std::fs;
use std::path::Path;

use portico::store::sqlite::{self, DATABASE, SqliteStore};
use portico_core::ports::store::{Condition, Item, Key, Query, Store, StoreErrorKind, Versioned, Write};
use portico_core::ports::store_ext::StoreExt;
use portico_core::schema::{COUNTERS, NOTIFICATIONS, SESSIONS, STATUSES, USER_VERIFICATIONS, USERS};
use portico_tests::client::{PASSWORD, registration};
use portico_tests::logs::Logs;
use portico_tests::process::{Folder, call};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::Dice;
use crate::support::{clock, entropy, number};

/// A sound data directory, and what is in it.
struct Original {
    dir: TempDir,
    items: Vec<(Key, Versioned)>,
    lists: Vec<(Query, Vec<Versioned>)>,
}

/// What came of reading a damaged copy.
#[derive(Debug, Default)]
struct Outcome {
    /// Reads that were refused.
    refused: usize,
    /// Items that were not found, and nobody said so.
    missing: usize,
}

fn open(dir: &Path) -> Result<SqliteStore, sqlite::DatabaseError> {
    SqliteStore::open(dir, clock(), entropy())
}

fn item(key: &Key, attributes: Value) -> Item {
    let mut item = attributes.as_object().cloned().unwrap();
    item.insert(key.table.hash.to_owned(), json!(key.hash));
    if let (Some(name), Some(value)) = (key.table.range, &key.range) {
        item.insert(name.to_owned(), json!(value));
    }
    item
}

async fn add(store: &SqliteStore, key: Key, attributes: Value) {
    let item = item(&key, attributes);
    store.write(Write::Put { key, item, when: Condition::Always }).await.unwrap();
}

/// Items of every shape: in several indexes, with a key of two parts, with an expiry, longer than a page.
async fn fill(store: &SqliteStore, numbers: std::ops::Range<usize>) -> Vec<Key> {
    let mut keys = Vec::new();
    for n in numbers {
        let user = Key::new(&USERS, format!("01USER{n:04}"));
        let shard = (n % 3).to_string();
        let names = json!({ "username": format!("user-{n}"), "email": format!("{n}@example.com"), "list_shard": shard });
        add(store, user.clone(), names).await;
        let claim = Key::new(&USERS, format!("username#user-{n}"));
        add(store, claim.clone(), json!({ "owner_id": user.hash })).await;
        let session = Key::new(&SESSIONS, format!("01SESSION{n:04}"));
        let padding = "x".repeat(n * 37 % 9000);
        add(store, session.clone(), json!({ "user_id": format!("01USER{:04}", n % 10), "user_agent": padding, "purge_at": 4_000_000_000u64 + n as u64 })).await;
        let one = Key::new(&NOTIFICATIONS, format!("01NOTE{n:04}"));
        let of = format!("01USER{:04}", n % 5);
        add(store, one.clone(), json!({ "user_id": of, "unread_of": of, "created_at": format!("2026-01-01T00:00:{n:02}.000Z"), "message": "hello" })).await;
        let code = Key::with_range(&USER_VERIFICATIONS, user.hash.clone(), "email");
        add(store, code.clone(), json!({ "code_hash": "00ff", "expires_at": 4_000_000_000u64 })).await;
        let count = Key::new(&COUNTERS, format!("failures#{n}"));
        add(store, count.clone(), json!({ "count": n })).await;
        keys.extend([user, claim, session, one, code, count]);
        if n < 5 {
            let status = Key::new(&STATUSES, format!("01STATUS{n}"));
            add(store, status.clone(), json!({ "description": "busy" })).await;
            keys.push(status);
        }
    }
    keys
}

fn lists() -> Vec<Query> {
    let mut lists = vec![Query::whole(&STATUSES)];
    for n in 0..5 {
        let user = format!("01USER{n:04}");
        lists.push(Query::index(&NOTIFICATIONS, "user_id-created_at-index", user.as_str()).descending());
        lists.push(Query::index(&NOTIFICATIONS, "unread_of-notification_id-index", user.as_str()).limit(3));
        lists.push(Query::index(&SESSIONS, "user_id-index", user.as_str()).limit(5));
        lists.push(Query::index(&USERS, "username-index", format!("user-{n}")));
        lists.push(Query::index(&USERS, "email-index", format!("{n}@example.com")));
    }
    lists.extend(
        (0..3).map(|shard| Query::index(&USERS, "list_shard-user_id-index", shard.to_string()).limit(7)),
    );
    lists
}

impl Original {
    /// With everything in the database file, or with the second half in the log.
    async fn new(in_log: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let store = open(dir.path()).unwrap();
        let mut keys = fill(&store, 0..40).await;
        store.close().await.unwrap();
        let store = open(dir.path()).unwrap();
        let half = if in_log { 40..60 } else { 0..0 };
        keys.extend(fill(&store, half).await);
        let (mut items, mut read) = (Vec::new(), Vec::new());
        for key in keys {
            let stored = store.get(&key).await.unwrap().unwrap();
            items.push((key, stored));
        }
        for query in lists() {
            let list = store.query_all(query.clone()).await.unwrap();
            assert!(!list.is_empty());
            read.push((query, list));
        }
        // As a kill would leave it.
        let copy = TempDir::new().unwrap();
        copy_files(dir.path(), copy.path());
        store.close().await.unwrap();
        Self { dir: copy, items, lists: read }
    }

    /// Everything that can be read of a copy, held against what was written.
    async fn compare(&self, store: &SqliteStore, what: &str) -> Outcome {
        let mut outcome = Outcome::default();
        for (key, expected) in &self.items {
            match store.get(key).await {
                Ok(Some(found)) => assert_eq!(&found, expected, "{what}: a wrong value"),
                Ok(None) => outcome.missing += 1,
                Err(error) => outcome.refuse(error.kind),
            }
        }
        for (query, expected) in &self.lists {
            match store.query_all(query.clone()).await {
                Ok(found) => {
                    let wrong = found.iter().find(|item| !expected.contains(item));
                    assert!(wrong.is_none(), "{what}: {query:?} finds what it should not: {wrong:?}");
                    outcome.missing += expected.len() - found.len();
                }
                Err(error) => outcome.refuse(error.kind),
            }
        }
        outcome
    }

    fn damaged(&self, file: &str, damage: &Damage) -> TempDir {
        let copy = TempDir::new().unwrap();
        copy_files(self.dir.path(), copy.path());
        let path = copy.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        damage.apply(&mut bytes);
        fs::write(path, bytes).unwrap();
        copy
    }
}

impl Outcome {
    fn refuse(&mut self, kind: StoreErrorKind) {
        assert!(!matches!(kind, StoreErrorKind::Conflict { .. } | StoreErrorKind::TooLarge), "{kind:?}");
        self.refused += 1;
    }
}

fn copy_files(from: &Path, to: &Path) {
    for name in [DATABASE.to_owned(), format!("{DATABASE}-wal"), "portico.lock".to_owned()] {
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// What a disk may do to a file.
#[derive(Debug)]
enum Damage {
    Byte { at: usize, flip: u8 },
    Page { at: usize, fill: u8 },
    Swap { one: usize, other: usize },
    Truncate { at: usize },
}

const PAGE: usize = 4096;

impl Damage {
    /// Some damage to a file of pages behind a header.
    fn any(dice: &Dice, length: usize, header: usize, page: usize, truncate: bool) -> Self {
        let below = |most: usize| dice.below(most as u64) as usize;
        let pages = (length - header) / page;
        let at = |n: usize| header + n * page;
        match below(if truncate { 20 } else { 19 }) {
            0 => Self::Page { at: at(below(pages)), fill: 0 },
            1 => Self::Page { at: at(below(pages)), fill: 0xa5 },
            2 => Self::Swap { one: at(below(pages)), other: at(below(pages)) },
            19 => Self::Truncate { at: below(length) },
            // Mostly the smallest that there is.
            n if n % 2 == 0 => Self::Byte { at: below(length), flip: 1 << below(8) },
            _ => Self::Byte { at: below(length), flip: 1 + below(255) as u8 },
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match *self {
            Self::Byte { at, flip } => bytes[at] ^= flip,
            Self::Page { at, fill } => bytes[at..at + PAGE].fill(fill),
            Self::Swap { one, other } => {
                for n in 0..PAGE {
                    bytes.swap(one + n, other + n);
                }
            }
            Self::Truncate { at } => bytes.truncate(at),
        }
    }
}

#[tokio::test]
async fn a_damaged_database_never_gives_a_wrong_value() {
    let (seed, flips) = (number("CRASH_SEED", 1), number("CRASH_FLIPS", 300));
    println!("CRASH_SEED={seed} CRASH_FLIPS={flips}");
    let dice = Dice::new(seed);
    let original = Original::new(false).await;
    let length = fs::metadata(original.dir.path().join(DATABASE)).unwrap().len() as usize;
    let (mut refused_starts, mut refused, mut missing, mut harmless) = (0, 0, 0, 0);
    for n in 0..flips {
        let damage = Damage::any(&dice, length, 0, PAGE, true);
        let what = format!("flip {n} of seed {seed}, {damage:?}");
        let copy = original.damaged(DATABASE, &damage);
        let sound = sqlite::check(copy.path());
        let Ok(store) = open(copy.path()) else {
            refused_starts += 1;
            continue;
        };
        let outcome = original.compare(&store, &what).await;
        drop(store);
        if outcome.missing + outcome.refused > 0 {
            assert!(sound.is_err(), "{what}: {outcome:?}, and the check finds nothing");
        } else if sound.is_ok() {
            harmless += 1;
        }
        refused += usize::from(outcome.refused > 0);
        missing += usize::from(outcome.missing > 0);
    }
    println!(
        "{flips} damages: {refused_starts} refuse the start, {refused} some read, {missing} hide something, {harmless} touch nothing"
    );
    assert!(refused > 0 && refused_starts > 0);
}

#[tokio::test]
async fn a_damaged_log_loses_nothing_in_silence() {
    let (seed, flips) = (number("CRASH_SEED", 1), number("CRASH_FLIPS", 300));
    println!("CRASH_SEED={seed} CRASH_FLIPS={flips}");
    let dice = Dice::new(seed);
    let original = Original::new(true).await;
    let log = format!("{DATABASE}-wal");
    let length = fs::metadata(original.dir.path().join(&log)).unwrap().len() as usize;
    let (mut refused, mut told, mut harmless) = (0, 0, 0);
    for n in 0..flips {
        let damage = Damage::any(&dice, length, 32, PAGE + 24, false);
        let what = format!("flip {n} of seed {seed}, {damage:?}");
        let copy = original.damaged(&log, &damage);
        let logs = Logs::capture();
        let opened = open(copy.path());
        let told_of = logs.text().contains("the end of the log is not whole");
        match opened {
            Err(error) => {
                assert!(error.to_string().contains("portico doctor"), "{what}: {error}");
                refused += 1;
            }
            Ok(store) => {
                let outcome = original.compare(&store, &what).await;
                assert_eq!(outcome.refused, 0, "{what}: what is left of the log is sound");
                // The last two transactions wrote one item each, in no list. Where its very commit mark is another, it looks as if it
                // never had been committed.
                let last = length - (PAGE + 24);
                let unmarked =
                    matches!(damage, Damage::Byte { at, .. } | Damage::Page { at, .. } if at >= last);
                let most = if told_of { 2 } else { usize::from(unmarked) };
                assert!(outcome.missing <= most, "{what}: {outcome:?}, told: {told_of}");
                told += usize::from(told_of);
                harmless += usize::from(!told_of);
            }
        }
    }
    println!(
        "{flips} damages: {refused} refuse the start, {told} tell of the last transaction, {harmless} touch nothing"
    );
    assert!(refused as u64 > flips / 2);
}

#[tokio::test]
async fn an_operator_can_go_on_without_what_a_log_lost() {
    let original = Original::new(true).await;
    let log = format!("{DATABASE}-wal");
    let length = fs::metadata(original.dir.path().join(&log)).unwrap().len() as usize;
    let copy = original.damaged(&log, &Damage::Byte { at: length / 2, flip: 4 });
    let refused = open(copy.path()).unwrap_err().to_string();
    assert!(sqlite::check(copy.path()).is_err());
    let command = refused.split('`').nth(1).unwrap();
    let mut words = command.split(' ');
    let ran = std::process::Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(ran.success(), "{command}");
    let store = open(copy.path()).unwrap();
    let outcome = original.compare(&store, "cut").await;
    assert!(outcome.missing > 10 && outcome.refused == 0, "{outcome:?}");
    store.close().await.unwrap();
    sqlite::check(copy.path()).unwrap();
}

/// Where a text first stands in a file.
fn find(file: &Path, text: &str) -> usize {
    let bytes = fs::read(file).unwrap();
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text is in the file")
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_doctor_and_backup_tell_of_a_flipped_bit() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let (code, auth) = server.post("/v1/users", &registration("ada")).await.unwrap();
    assert_eq!(code, 201);
    let mut bob = registration("bob");
    bob["last_name"] = json!("Babbage-canary");
    let (code, _) = server.post("/v1/users", &bob).await.unwrap();
    assert_eq!(code, 201);
    server.stop().await;
    let sound = folder.run(&["backup", "sound"], &[], "").await;
    assert!(sound.success, "{}", sound.text);
    let file = folder.path("data").join(DATABASE);
    flip(&file, find(&file, "Babbage-canary") + 3);

    let doctor = folder.run(&["doctor"], &[], "").await;
    assert!(!doctor.success && doctor.text.contains("table users: 1 damaged"), "{}", doctor.text);
    assert!(doctor.text.contains("restore a backup") && !doctor.text.contains("canary"), "{}", doctor.text);
    let backup = folder.run(&["backup", "second"], &[], "").await;
    assert!(!backup.success && backup.text.contains("damaged"), "{}", backup.text);
    assert!(!folder.path("second").exists());

    let server = folder.serve(&[]).await;
    let login = |name: &str| json!({ "username": name, "password": PASSWORD });
    let (code, problem) = server.post("/v1/sessions/login", &login("bob")).await.unwrap();
    assert_eq!((code, &problem["code"]), (503, &json!("storage_unavailable")));
    assert_eq!(server.post("/v1/sessions/login", &login("ada")).await.unwrap().0, 200, "the rest goes on");
    let own = auth["access_token"].as_str();
    assert_eq!(call(server.port, "GET", "/v1/users/me", own, None).await.unwrap().0, 200);
    let log = server.stop().await;
    let told = log.lines().find(|line| line.contains("the database is damaged")).expect(&log);
    assert!(told.contains("ERROR") && told.contains("users") && told.contains("row "), "{told}");
    assert!(!log.contains("canary") && !log.contains("panicked"), "{log}");

    // What doctor says to do helps.
    let restored = folder.run(&["restore", "sound", "--force"], &[], "").await;
    assert!(restored.success, "{}", restored.text);
    let server = folder.serve(&[]).await;
    assert_eq!(server.post("/v1/sessions/login", &login("bob")).await.unwrap().0, 200);
    server.stop().await;
    let doctor = folder.run(&["doctor"], &[], "").await;
    assert!(doctor.success, "{}", doctor.text);
}

#[tokio::test]
async fn a_database_that_is_gone_is_not_taken_for_a_new_one() {
    let original = Original::new(false).await;
    let (dir, file) = (original.dir.path(), original.dir.path().join(DATABASE));
    let sound = fs::read(&file).unwrap();
    for gone in [true, false] {
        if gone {
            fs::remove_file(&file).unwrap()
        } else {
            fs::write(&file, "").unwrap()
        }
        let refused = open(dir).unwrap_err().to_string();
        assert!(refused.contains("restore a backup") && refused.contains("portico.lock"), "{refused}");
        assert!(sqlite::check(dir).is_err());
    }
    fs::write(&file, sound).unwrap();
    let outcome = original.compare(&open(dir).unwrap(), "put back").await;
    assert_eq!((outcome.missing, outcome.refused), (0, 0));
}

#[tokio::test]
async fn a_row_that_only_looks_expired_is_neither_purged_nor_replaced() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let key = Key::new(&SESSIONS, "01SESSION");
    add(&store, key.clone(), json!({ "user_id": "01ADA", "purge_at": 4_000_000_001u64 })).await;
    store.close().await.unwrap();
    // In the text and in the index alike.
    let file = dir.path().join(DATABASE);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute("UPDATE sessions SET item = replace(item, '4000000001', '1000000001')", ()).unwrap();
    drop(connection);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.purge_expired().await.unwrap(), 0);
    let write = Write::Put { key: key.clone(), item: item(&key, json!({})), when: Condition::Absent };
    assert_eq!(store.write(write).await.unwrap_err().kind, StoreErrorKind::Corrupt);
    assert_eq!(store.get(&key).await.unwrap_err().kind, StoreErrorKind::Corrupt);
    store.close().await.unwrap();
    assert!(sqlite::check(dir.path()).unwrap_err().to_string().contains("sessions"));
}

#[tokio::test]
async fn a_database_from_before_checksums_gets_them() {
    let original = Original::new(false).await;
    let file = original.dir.path().join(DATABASE);
    make_older(&file);
    sqlite::check(original.dir.path()).unwrap();
    let store = open(original.dir.path()).unwrap();
    let outcome = original.compare(&store, "migrated").await;
    assert_eq!((outcome.missing, outcome.refused), (0, 0));
    store.close().await.unwrap();
    sqlite::check(original.dir.path()).unwrap();
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute("UPDATE statuses SET item = replace(item, 'busy', 'bury')", ()).unwrap();
    drop(connection);
    assert!(sqlite::check(original.dir.path()).is_err());
}

/// Makes a database one of the first schema.
pub fn make_older(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    for table in portico_core::schema::TABLES {
        connection.execute_batch(&format!("ALTER TABLE \"{}\" DROP COLUMN checksum", table.name)).unwrap();
    }
    connection.pragma_update(None, "user_version", 1).unwrap();
}
