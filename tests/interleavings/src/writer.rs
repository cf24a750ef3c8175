//! The thread that writes to SQLite, and its queue: every caller is answered once and truly, whoever goes away, and
//! whenever the store is closed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::ports::store::{Condition, Item, Key, Store, StoreError, StoreErrorKind, Version, Write};
use portico_core::schema::COUNTERS;
use serde_json::json;
use shuttle::future::block_on;
use shuttle::thread;
use tempfile::TempDir;

use crate::explore;
use crate::sqlite::SqliteStore;

/// A database that was opened before, copied for each schedule: making one takes longer than using it.
struct Template(TempDir);

impl Template {
    fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        let made = dir.path().to_owned();
        shuttle::check_random(move || block_on(open(&made).close()).expect("a store that closes"), 1);
        Self(dir)
    }

    fn copy(&self) -> TempDir {
        let dir = TempDir::new().expect("a folder");
        for file in self.0.path().read_dir().expect("a folder") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), dir.path().join(file.file_name())).expect("a copy");
        }
        dir
    }
}

fn open(dir: &Path) -> SqliteStore {
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    SqliteStore::open(dir, clock, entropy).expect("a store")
}

fn key(name: &str) -> Key {
    Key::new(&COUNTERS, name)
}

fn put(name: &str, n: u64, when: Condition) -> Write {
    let mut item = Item::new();
    item.insert(COUNTERS.hash.to_owned(), json!(name));
    item.insert("n".to_owned(), json!(n));
    item.insert("expires_at".to_owned(), json!(4_000_000_000_u64));
    Write::Put { key: key(name), item, when }
}

fn read(store: &SqliteStore, name: &str) -> Option<(u64, Version)> {
    let found = block_on(store.get(&key(name))).expect("an answer")?;
    Some((found.item["n"].as_u64().expect("a number"), found.version))
}

fn is_conflict(outcome: &Result<(), StoreError>) -> bool {
    matches!(outcome, Err(error) if error.conflicting_write() == Some(0))
}

/// Counts to a sum by reading and writing under the condition that nobody else did: no addition is lost, and whoever was
/// told that it did not apply did not.
pub fn no_addition_is_lost() {
    let template = Template::new();
    explore(250, move || {
        let dir = template.copy();
        let store = Arc::new(open(dir.path()));
        let conflicts = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (store, conflicts) = (store.clone(), conflicts.clone());
                thread::spawn(move || {
                    loop {
                        let (n, when) = read(&store, "sum")
                            .map_or((0, Condition::Absent), |(n, version)| (n, Condition::At(version)));
                        let outcome = block_on(store.transact(&[put("sum", n + 1, when)]));
                        if outcome.is_ok() {
                            // Acknowledged is visible.
                            assert!(read(&store, "sum").is_some_and(|(now, _)| now > n));
                            return;
                        }
                        assert!(is_conflict(&outcome), "{outcome:?}");
                        conflicts.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        assert_eq!(read(&store, "sum").map(|(n, _)| n), Some(4));
        let counts = store.writer_counts();
        assert_eq!(counts.transactions, 4 + conflicts.load(Ordering::SeqCst) as u64, "answers counted");
        assert!(counts.commits <= 4);
        block_on(store.close()).expect("a store that closes");
    });
}

/// Callers who go away, at any moment, cost the others nothing; what they queued is applied whole or not at all.
pub fn callers_who_go_away_cost_the_others_nothing() {
    let template = Template::new();
    explore(250, move || {
        let dir = template.copy();
        let store = Arc::new(open(dir.path()));
        let leavers = (0..2).map(|n| {
            let store = store.clone();
            thread::spawn(move || {
                let writes = ["left", "right"].map(|side| put(&format!("{side} {n}"), 1, Condition::Absent));
                // Polled once, then dropped.
                drop(store.transact(&writes).now_or_never());
            })
        });
        let stayers = (0..2).map(|n| {
            let store = store.clone();
            thread::spawn(move || {
                let name = format!("stays {n}");
                block_on(store.transact(&[put(&name, 1, Condition::Absent)])).expect("applied");
                assert!(read(&store, &name).is_some());
            })
        });
        let threads: Vec<_> = leavers.chain(stayers).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        block_on(store.close()).expect("a store that closes");
        drop(store);
        let store = open(dir.path());
        for n in 0..2 {
            let [left, right] = ["left", "right"].map(|side| read(&store, &format!("{side} {n}")).is_some());
            assert_eq!(left, right, "half a transaction");
        }
        block_on(store.close()).expect("a store that closes");
    });
}

/// The store is closed while callers write, purge and read: each is answered, what was acknowledged is found when it is
/// opened again, what was refused is not, and later calls are refused.
pub fn closing_answers_everybody() {
    let template = Template::new();
    explore(250, move || {
        let dir = template.copy();
        let store = Arc::new(open(dir.path()));
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let store = store.clone();
                thread::spawn(move || {
                    let outcome =
                        block_on(store.transact(&[put(&format!("item {n}"), 1, Condition::Absent)]));
                    assert!(outcome.is_ok() || is_closed(&outcome), "{outcome:?}");
                    outcome.is_ok()
                })
            })
            .collect();
        let purger = {
            let store = store.clone();
            thread::spawn(move || {
                let outcome = block_on(store.purge_expired());
                assert!(matches!(outcome, Ok(0)) || is_closed(&outcome), "{outcome:?}");
            })
        };
        let closer = {
            let store = store.clone();
            thread::spawn(move || block_on(store.close()).is_ok())
        };
        let closed_too = block_on(store.close()).is_ok();
        let was_acknowledged: Vec<bool> =
            writers.into_iter().map(|writer| writer.join().expect("a thread that ends well")).collect();
        purger.join().expect("a thread that ends well");
        assert!(closer.join().expect("a thread that ends well") ^ closed_too, "closed by one");
        assert!(is_closed(&block_on(store.transact(&[put("late", 1, Condition::Always)]))));
        assert!(is_closed(&block_on(store.get(&key("late")))));
        drop(store);
        let store = open(dir.path());
        for (n, was_acknowledged) in was_acknowledged.into_iter().enumerate() {
            assert_eq!(read(&store, &format!("item {n}")).is_some(), was_acknowledged, "item {n}");
        }
        block_on(store.close()).expect("a store that closes");
    });
}

fn is_closed<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(error) if error.kind == StoreErrorKind::Unavailable)
}

/// Dropping the store, without a word, finishes what is queued and lets go of the directory.
pub fn dropping_finishes_what_is_queued() {
    let template = Template::new();
    explore(250, move || {
        let dir = template.copy();
        let store = Arc::new(open(dir.path()));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let store = store.clone();
                thread::spawn(move || {
                    // Queued; nobody waits for the answer.
                    drop(store.transact(&[put(&format!("item {n}"), 1, Condition::Absent)]).now_or_never());
                })
            })
            .collect();
        drop(store);
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        let store = open(dir.path());
        for n in 0..3 {
            assert!(read(&store, &format!("item {n}")).is_some(), "item {n} is lost");
        }
        block_on(store.close()).expect("a store that closes");
    });
}
