//! Kills of a server that has just begun: while it makes its database, brings an older one to the present schema, or
//! removes what has expired.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use portico::store::sqlite::{self, DATABASE, SqliteStore};
use portico_core::memory::clock::ManualClock;
use portico_core::ports::store::{Condition, Key, Store, Write};
use portico_core::schema::{SESSIONS, USERS};
use portico_core::time::Timestamp;
use portico_tests::client::registration;
use portico_tests::process::Folder;
use serde_json::json;
use tokio::time::sleep;

use crate::corruption::make_older;
use crate::load::Dice;
use crate::support::{clock, entropy, number};

const USERS_KEPT: usize = 1500;
const SESSIONS_EXPIRED: usize = 3000;
const KILLS: u64 = 12;
/// The longest that a start goes on before its kill, in milliseconds.
const START_MS: u64 = 150;

fn user(n: usize) -> Key {
    Key::new(&USERS, format!("01USER{n:05}"))
}

fn session(n: usize) -> Key {
    Key::new(&SESSIONS, format!("01SESSION{n:05}"))
}

/// A database of the first schema, with much that has expired since.
async fn write_older(dir: &Path) {
    let past = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let store = SqliteStore::open(dir, past, entropy()).unwrap();
    let put = |key: Key, item: serde_json::Value| {
        let item = item.as_object().cloned().unwrap();
        Write::Put { key, item, when: Condition::Absent }
    };
    let users = (0..USERS_KEPT).map(|n| put(user(n), json!({ "user_id": user(n).hash, "list_shard": "1" })));
    let sessions = (0..SESSIONS_EXPIRED).map(|n| {
        put(
            session(n),
            json!({ "session_id": session(n).hash, "user_id": user(n % 7).hash, "purge_at": 1000 + n }),
        )
    });
    let writes: Vec<Write> = users.chain(sessions).collect();
    for some in writes.chunks(100) {
        store.transact(some).await.unwrap();
    }
    store.close().await.unwrap();
    make_older(&dir.join(DATABASE));
}

async fn kill_while_starting(folder: &Folder, after: Duration) {
    let mut command = folder.command(&["serve"], &[("APP_PORT", "0")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(after).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_it_migrates_or_purges_leaves_what_a_second_start_finishes() {
    let seed = number("CRASH_SEED", 1);
    println!("CRASH_SEED={seed}");
    let dice = Dice::new(seed);
    let folder = Folder::new();
    let older = folder.path("older");
    write_older(&older).await;
    let data = folder.path("data");
    let mut migrated = 0;
    for kill in 0..KILLS {
        fs::create_dir_all(&data).unwrap();
        fs::copy(older.join(DATABASE), data.join(DATABASE)).unwrap();
        kill_while_starting(&folder, Duration::from_millis(1 + dice.below(START_MS))).await;
        let connection = rusqlite::Connection::open(data.join(DATABASE)).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        drop(connection);
        migrated += usize::from(version > 1);
        sqlite::check(&data).unwrap();
        let store = SqliteStore::open(&data, clock(), entropy()).unwrap();
        for n in 0..USERS_KEPT {
            assert!(store.get(&user(n)).await.unwrap().is_some(), "kill {kill} of seed {seed}: {n} is lost");
        }
        let left = store.purge_expired().await.unwrap();
        assert!(left <= SESSIONS_EXPIRED);
        for n in 0..SESSIONS_EXPIRED {
            assert!(store.get(&session(n)).await.unwrap().is_none());
        }
        store.close().await.unwrap();
        sqlite::check(&data).unwrap();
        fs::remove_dir_all(&data).unwrap();
    }
    println!("{migrated} of {KILLS} kills came after the migration");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_first_moments_leaves_a_folder_that_can_be_begun_with() {
    let dice = Dice::new(number("CRASH_SEED", 1));
    let folder = Folder::new();
    for kill in 0..KILLS {
        kill_while_starting(&folder, Duration::from_millis(1 + dice.below(START_MS / 2))).await;
        if kill % 4 == 3 {
            let server = folder.serve(&[]).await;
            let (code, answer) = server.post("/v1/users", &registration("ada")).await.unwrap();
            assert_eq!(code, 201, "{answer}");
            assert_eq!(server.stop().await, "");
            let doctor = folder.run(&["doctor"], &[], "").await;
            assert!(doctor.success, "{}", doctor.text);
            fs::remove_dir_all(folder.path("data")).unwrap();
        }
    }
}
