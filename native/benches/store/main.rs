//! The embedded store by itself: `cargo bench --package portico --bench store`, on an otherwise idle machine.
//!
//! `PORTICO_BENCH_USERS=10000,1000000` says with how many users stored (these, unless it does). They are written once, to
//! the target directory's `tmp`; a million of them take some minutes and some gigabytes.

#![allow(clippy::expect_used, reason = "what fails here fails the measuring, and nobody else")]

use std::fs::File;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use portico::store::sqlite::{DATABASE, SqliteStore};
use portico_core::ports::store::{Condition, Key, Store};
use portico_core::ports::store_ext::put;
use portico_core::schema::COUNTERS;
use portico_core::{sessions, users};
use tokio::runtime::Runtime;

mod seeding;

/// Callers at once.
const CALLERS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Keeps neighbours in a round of reads apart: coprime to every number of users, and larger than what a page holds.
const STRIDE: u64 = 7919;

fn sizes() -> Vec<u64> {
    let sizes = std::env::var("PORTICO_BENCH_USERS").unwrap_or_else(|_| "10000,1000000".to_owned());
    sizes.split(',').map(|size| size.trim().parse().expect("PORTICO_BENCH_USERS holds numbers")).collect()
}

fn data(users: u64) -> PathBuf {
    [env!("CARGO_TARGET_TMPDIR"), "seeds", &users.to_string(), "data"].iter().collect()
}

fn open(runtime: &Runtime, users: u64) -> SqliteStore {
    let store = runtime.block_on(seeding::open(&data(users), users)).expect("a store with users");
    // What is measured is the store: with the file in the system's page cache, as that of a server is which is in use.
    let mut file = File::open(data(users).join(DATABASE)).expect("a database");
    std::io::copy(&mut file, &mut std::io::sink()).expect("a database that can be read");
    store
}

/// Reads by key, reads by an index, and writes of one caller, with more and more users stored.
fn operations(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads");
    for users in sizes() {
        let store = open(&runtime, users);
        let mut next = 0;
        let mut index = move || {
            next = (next + STRIDE) % users;
            next
        };
        criterion.benchmark_group("get").bench_function(BenchmarkId::from_parameter(users), |bencher| {
            bencher.iter_batched(
                || users::repo::key(&seeding::user_id(index())),
                |key| black_box(runtime.block_on(store.get(&key)).expect("a read").expect("a user")),
                criterion::BatchSize::SmallInput,
            );
        });
        criterion.benchmark_group("query").bench_function(BenchmarkId::from_parameter(users), |bencher| {
            bencher.iter_batched(
                || sessions::repo::of_user(&seeding::user_id(index())),
                |query| {
                    let page = runtime.block_on(store.query(&query)).expect("a read");
                    assert!(!page.items.is_empty());
                    page
                },
                criterion::BatchSize::SmallInput,
            );
        });
        criterion.benchmark_group("transact").bench_function(BenchmarkId::from_parameter(users), |bencher| {
            bencher.iter(|| runtime.block_on(count_up(&store, index())));
        });
        runtime.block_on(store.close()).expect("an end");
    }
}

/// Durable transactions of more and more callers, whose flushes are shared.
fn group_commit(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads");
    let users = sizes().into_iter().min().expect("a size");
    let store = Arc::new(open(&runtime, users));
    let mut group = criterion.benchmark_group("group commit");
    for callers in CALLERS {
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter_custom(|times| runtime.block_on(commit(&store, callers, times)));
        });
    }
    group.finish();
}

/// So many transactions, shared by so many callers.
async fn commit(store: &Arc<SqliteStore>, callers: u64, times: u64) -> Duration {
    let taken = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut working = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (store, taken) = (Arc::clone(store), Arc::clone(&taken));
        working.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < times {
                count_up(&store, caller).await;
            }
        });
    }
    working.join_all().await;
    begun.elapsed()
}

/// One small item, overwritten.
async fn count_up(store: &SqliteStore, index: u64) {
    let counter = serde_json::json!({ "counter_id": format!("bench-{index}"), "count": index });
    let key = Key::new(&COUNTERS, format!("bench-{index}"));
    let write = put(key, &counter, Condition::Always).expect("an item");
    store.transact(&[write]).await.expect("a write");
}

criterion_group!(benches, operations, group_commit);
criterion_main!(benches);
